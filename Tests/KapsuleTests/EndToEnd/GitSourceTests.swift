import Foundation
import TestSupport
import Testing

/// FROM a git repository, with files in LFS.
@Suite(.enabled(if: TestProgram.gitLFS.isUsable, "git and git-lfs")) struct GitSourceTests {
    /// A repository with files of every kind that a commit can have, made by git and git-lfs themselves.
    struct Repository {
        let sandbox: Sandbox
        let path: String
        private(set) var commit = ""
        let weights: [UInt8]

        init(_ sandbox: Sandbox, submodule: Bool = false, format: String = "sha1") throws {
            self.sandbox = sandbox
            path = "\(sandbox.path)/repo"
            var random = SeededGenerator(seed: 5)
            weights = random.bytes(3_000_000)
            sandbox.environment["GIT_CONFIG_GLOBAL"] = "/dev/null"
            try sandbox.tool("git", ["init", "-q", "-b", "main", "--object-format=\(format)", path])
            try git("config", "uploadpack.allowFilter", "true")
            try git("lfs", "install", "--local")
            try sandbox.directory.write("repo/.gitattributes", "*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
            try sandbox.directory.write("repo/config.json", #"{"model_type":"bert"}"#)
            try sandbox.directory.write("repo/plain.dat", random.bytes(700_000))
            try sandbox.directory.write("repo/sub dir/größe \"x\".txt", "names")
            try sandbox.directory.write("repo/model.safetensors", Self.safetensors(weights))
            try sandbox.directory.write("repo/extra/unwanted.safetensors", Self.safetensors(random.bytes(500_000)))
            try sandbox.directory.write("repo/run.sh", "#!/bin/sh\n")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(path)/run.sh")
            try FileManager.default.createSymbolicLink(
                atPath: "\(path)/sub dir/link.json", withDestinationPath: "../config.json")
            try git("add", ".")
            if submodule {
                try git("update-index", "--add", "--cacheinfo", "160000,\(String(repeating: "1", count: 40)),vendor")
            }
            try save("first")
            commit = try head()
        }

        /// A file of one tensor of bytes.
        static func safetensors(_ data: [UInt8]) -> [UInt8] {
            var header = Array(
                #"{"w":{"dtype":"U8","shape":[\#(data.count)],"data_offsets":[0,\#(data.count)]}}"#.utf8)
            while header.count % 8 != 0 { header.append(0x20) }
            return (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) } + header + data
        }

        @discardableResult
        func git(_ arguments: String...) throws -> String { try sandbox.tool("git", ["-C", path] + arguments) }

        func save(_ message: String) throws {
            try git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", message)
        }

        func head() throws -> String { String(try git("rev-parse", "HEAD").dropLast()) }

        /// A bare copy with its LFS objects, for the server.
        func publish() throws -> String {
            let root = "\(sandbox.path)/served"
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try sandbox.tool("git", ["clone", "-q", "--bare", path, "\(root)/m.git"])
            try sandbox.tool("git", ["-C", "\(root)/m.git", "config", "uploadpack.allowFilter", "true"])
            try FileManager.default.copyItem(atPath: "\(path)/.git/lfs", toPath: "\(root)/m.git/lfs")
            return root
        }
    }

    /// The stand-in of an LFS server; git itself serves the rest.
    struct Server {
        let process: BackgroundProcess
        let port: String
        private let certificates: TestCertificates?
        var base: String { "http\(certificates == nil ? "" : "s")://127.0.0.1:\(port)" }

        init(_ root: String, _ options: String..., tls: TestCertificates? = nil) throws {
            certificates = tls
            process = try BackgroundProcess(
                .python,
                ["\(TestProgram.directory)/git_lfs_server.py", root] + options
                    + (tls.map { ["--certificate", $0.certificate, "--key", $0.key] } ?? []))
            port = try process.wait(for: "listening on ([0-9]+)")
        }

        /// Every request so far.
        func log() throws -> String { try TestProgram.curl.check(["-sk", "\(base)/__log"]) }
    }

    private func build(_ sandbox: Sandbox, _ from: String, _ more: String..., with: [String: String] = [:]) throws
        -> Child.Outcome
    {
        try sandbox.start(["build", "--format", "hf", "-o", "out", from] + more, with).wait()
    }

    private func checkWhole(_ repository: Repository, ignoring: Set<String> = []) throws {
        let out = try FileTree("\(repository.sandbox.path)/desk/out")
        #expect(out.files.contains("sub dir/link.json"))
        let differences = try out.differences(
            from: FileTree(repository.path),
            ignoring: ignoring.union(["Modelfile", ".gitattributes", "sub dir/link.json"]))
        #expect(differences.filter { !$0.hasPrefix("only there: .git/") } == [])
        #expect(
            try repository.sandbox.directory.read("desk/out/sub dir/link.json") == Array(#"{"model_type":"bert"}"#.utf8)
        )
    }

    @Test func aRepositoryOnThisMachineIsWhatACheckoutHas() throws {
        let repository = try Repository(Sandbox())
        let outcome = try build(repository.sandbox, "git+file://\(repository.path)@\(repository.commit)")
        #expect(outcome.status == 0, "\(outcome.errors)")
        try checkWhole(repository)
        #expect(repository.sandbox.debris == [])
    }

    @Test func branchesAndTagsLeadToTheirCommits() throws {
        let repository = try Repository(Sandbox())
        let sandbox = repository.sandbox
        try repository.git("-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "x", "v1")
        try repository.git("branch", "pr/1")
        try sandbox.directory.write("repo/config.json", #"{"model_type":"gpt2"}"#)
        try repository.git("add", ".")
        try repository.save("second")
        let second = try repository.head()
        for (revision, commit) in [
            ("", second), ("@main", second), ("@v1", repository.commit), ("@pr/1", repository.commit),
        ] {
            try sandbox.done(
                "build", "--format", "hf", "-o", "out", "--force", "--metadata-file", "made.json",
                "git+file://\(repository.path)\(revision)")
            let made = try EndToEnd.object(String(decoding: sandbox.directory.read("desk/made.json"), as: UTF8.self))
            let model = try #require(made["kapsule.model"] as? [String: Any])
            #expect(model["revision"] as? String == commit)
            #expect(model["identity"] as? String == "repo@\(commit)")
            // A path of this machine is nobody's business.
            #expect(model["source"] == nil)
        }
        // One name, two commits.
        try repository.git("branch", "v1")
        let ambiguous = try build(sandbox, "git+file://\(repository.path)@v1")
        #expect(ambiguous.status == 2)
        #expect(ambiguous.errors.contains("has both a branch and a tag 'v1'"), "\(ambiguous.errors)")
    }

    @Test func whatIsNotThereIsSaid() throws {
        let repository = try Repository(Sandbox())
        let missing = String(repeating: "a", count: 40)
        for (reference, status, words) in [
            ("file://\(repository.path)@nope", 5, "has no branch and no tag 'nope'"),
            ("file://\(repository.path)@\(repository.commit.prefix(10))", 5, "a commit has to be written out"),
            ("file://\(repository.path)@\(missing)", 5, "has no commit \(missing)"),
            ("file:///nowhere@main", 5, "there is no git repository"),
            ("https://user:secret@127.0.0.1/m@main", 2, "holds a user name or a password"),
        ] as [(String, Int32, String)] {
            let outcome = try build(repository.sandbox, "git+\(reference)")
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
        }
        let without = try build(repository.sandbox, "git+file://\(repository.path)", with: ["PATH": "/nowhere"])
        #expect(without.status == 2)
        #expect(without.errors.contains("apt-get install git"))
    }

    @Test func overHTTPOnlyWhatIsWantedIsFetchedAndTheLoginIsForTheServerAlone() throws {
        let repository = try Repository(Sandbox())
        let sandbox = repository.sandbox
        let server = try Server(try repository.publish(), "--login", "kapsule:s3cr3t-t0ken")
        let reference = "git+\(server.base)/m.git@\(repository.commit)"
        let locked = try build(sandbox, reference)
        #expect(locked.status == 3, "\(locked.errors)")
        #expect(locked.errors.contains("set GIT_PAT"))
        let outcome = try build(
            sandbox, reference, "--exclude", "extra/", "--debug", with: ["GIT_PAT": "s3cr3t-t0ken"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(!outcome.errors.contains("s3cr3t-t0ken"))
        try checkWhole(repository, ignoring: ["extra/unwanted.safetensors"])
        let log = try server.log()
        let wanted = try repository.git("lfs", "ls-files", "-l").split(separator: "\n").map { $0.split(separator: " ") }
        for line in wanted {
            #expect(log.contains(line[0]) == (line[2] == "model.safetensors"), "\(line)")
        }
        // The address of an object is enough; whoever serves it is told nothing.
        let objects = log.split(separator: "\n").filter { $0.hasPrefix("GET /__object/") }
        #expect(!objects.isEmpty && objects.allSatisfy { $0.hasSuffix("authorization=no") })
    }

    @Test func gitsOwnHelpersAreAskedAndNothingElseOfTheUsersSettingsCounts() throws {
        let repository = try Repository(Sandbox())
        let sandbox = repository.sandbox
        let server = try Server(try repository.publish(), "--login", "me:pw")
        sandbox.environment["GIT_CONFIG_GLOBAL"] = nil
        try sandbox.directory.write("home/credentials", "http://me:pw@127.0.0.1%3a\(server.port)\n")
        try sandbox.directory.write(
            "home/.gitconfig",
            """
            [credential]
                helper = store --file \(sandbox.path)/home/credentials
            [url "http://127.0.0.1:9/"]
                insteadOf = \(server.base)/
            [core]
                hooksPath = \(sandbox.path)/hooks
            [init]
                templateDir = \(sandbox.path)/template
            [alias]
                fetch = !touch \(sandbox.path)/ran
            """)
        let hook = try sandbox.directory.write("hooks/reference-transaction", "#!/bin/sh\ntouch \(sandbox.path)/ran\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: hook)
        let outcome = try build(sandbox, "git+\(server.base)/m.git", with: ["GIT_DIR": "/nowhere", "GIT_TRACE": "1"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        try checkWhole(repository)
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/ran"))
    }

    /// Tree, batch API and objects, from a server that only an authority of one's own vouches for.
    @Test(arguments: ["GIT_SSL_CAINFO", "SSL_CERT_FILE", "http.sslCAInfo"])
    func overTLSTheServerProvesItsName(_ place: String) throws {
        let repository = try Repository(Sandbox())
        let sandbox = repository.sandbox
        let certificates = try TestCertificates()
        let server = try Server(try repository.publish(), "--login", "kapsule:s3cr3t-t0ken", tls: certificates)
        #expect(server.base.hasPrefix("https://"))
        let reference = "git+\(server.base)/m.git@\(repository.commit)"
        sandbox.environment["GIT_PAT"] = "s3cr3t-t0ken"
        let unknown = try build(sandbox, reference)
        #expect(unknown.status == 5, "\(unknown.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/out/model.safetensors"))
        #expect(try !server.log().contains("m.git"))
        if place == "http.sslCAInfo" {
            sandbox.environment["GIT_CONFIG_GLOBAL"] = nil
            try sandbox.directory.write("home/.gitconfig", "[http]\n\tsslCAInfo = \(certificates.authority)\n")
        } else {
            sandbox.environment[place] = certificates.authority
        }
        let outcome = try build(sandbox, reference, "--debug")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(!outcome.errors.contains("s3cr3t-t0ken"))
        try checkWhole(repository)
        #expect(try server.log().contains("GET /__object/"))
    }

    @Test func overTLSGitsHelpersAreAsked() throws {
        let repository = try Repository(Sandbox())
        let sandbox = repository.sandbox
        let certificates = try TestCertificates()
        let server = try Server(try repository.publish(), "--login", "me:pw", tls: certificates)
        sandbox.environment["GIT_CONFIG_GLOBAL"] = nil
        sandbox.environment["GIT_SSL_CAINFO"] = certificates.authority
        try sandbox.directory.write("home/credentials", "https://me:pw@127.0.0.1%3a\(server.port)\n")
        try sandbox.directory.write(
            "home/.gitconfig", "[credential]\n\thelper = store --file \(sandbox.path)/home/credentials\n")
        let outcome = try build(sandbox, "git+\(server.base)/m.git")
        #expect(outcome.status == 0, "\(outcome.errors)")
        try checkWhole(repository)
    }

    /// Names of 64 digits.
    @Test(arguments: ["file", "http"]) func aRepositoryWithSHA256NamesIsTaken(_ scheme: String) throws {
        let repository = try Repository(Sandbox(), format: "sha256")
        try #require(repository.commit.count == 64)
        let server = try Server(try repository.publish())
        let address = scheme == "file" ? "file://\(repository.path)" : "\(server.base)/m.git"
        for revision in ["@\(repository.commit)", "@main", ""] {
            let outcome = try build(repository.sandbox, "git+\(address)\(revision)")
            #expect(outcome.status == 0, "\(outcome.errors)")
            try checkWhole(repository)
        }
        // What may be executed there may be executed here.
        let mode = try FileManager.default.attributesOfItem(atPath: "\(repository.sandbox.path)/desk/out/run.sh")
        #expect(mode[.posixPermissions] as? Int == 0o755)
    }

    @Test func wrongContentIsNeverPublished() throws {
        let repository = try Repository(Sandbox())
        let server = try Server(try repository.publish(), "--corrupt")
        let outcome = try build(repository.sandbox, "git+\(server.base)/m.git")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(outcome.errors.contains("is not what its source promised"))
        #expect(!FileManager.default.fileExists(atPath: "\(repository.sandbox.path)/desk/out/model.safetensors"))
    }

    @Test func addressesThatExpireAreAskedForAgain() throws {
        let repository = try Repository(Sandbox())
        let server = try Server(try repository.publish(), "--refuse", "2", "--expires", "5")
        let outcome = try build(repository.sandbox, "git+\(server.base)/m.git")
        #expect(outcome.status == 0, "\(outcome.errors)")
        try checkWhole(repository)
    }

    @Test func aMissingObjectIsFoundBeforeAnythingIsFetched() throws {
        let repository = try Repository(Sandbox())
        let root = try repository.publish()
        let name = try #require(
            repository.git("lfs", "ls-files", "-l").split(separator: "\n").first { $0.hasSuffix("model.safetensors") })
        let server = try Server(root, "--missing", String(name.prefix(64)))
        let outcome = try build(repository.sandbox, "git+\(server.base)/m.git")
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("does not have model.safetensors"), "\(outcome.errors)")
        #expect(try !server.log().contains("/__object/"))
        // The same of a repository on this machine.
        try FileManager.default.removeItem(atPath: "\(repository.path)/.git/lfs/objects")
        let local = try build(repository.sandbox, "git+file://\(repository.path)")
        #expect(local.status == 5)
        #expect(local.errors.contains("git lfs fetch --all"), "\(local.errors)")
        // What is left out is not missed.
        let without = try build(repository.sandbox, "git+file://\(repository.path)", "--exclude", "*.safetensors")
        #expect(without.status == 0, "\(without.errors)")
    }

    @Test func submodulesAndLinksThatLeadElsewhereAreRefusedUnlessLeftOut() throws {
        let repository = try Repository(Sandbox(), submodule: true)
        let sandbox = repository.sandbox
        let submodule = try build(sandbox, "git+file://\(repository.path)")
        #expect(submodule.status == 2)
        #expect(
            submodule.errors.contains("'vendor' of file://\(repository.path) is a submodule"), "\(submodule.errors)")
        try FileManager.default.createSymbolicLink(atPath: "\(repository.path)/out", withDestinationPath: "/etc/passwd")
        try repository.git("add", "out")
        try repository.save("a link")
        let link = try build(sandbox, "git+file://\(repository.path)", "--exclude", "vendor")
        #expect(link.status == 2)
        #expect(link.errors.contains("is a link to '/etc/passwd'"), "\(link.errors)")
        let rest = try build(sandbox, "git+file://\(repository.path)", "--exclude", "vendor", "--exclude", "out")
        #expect(rest.status == 0, "\(rest.errors)")
    }

    @Test func whatLfsconfigSaysDoesNotReachThisMachineOrGoInTheClear() throws {
        let repository = try Repository(Sandbox())
        let sandbox = repository.sandbox
        let server = try Server(try repository.publish())
        for (address, status) in [
            ("file:///etc", 2), ("http://example.org/lfs", 2), ("ssh://host/lfs", 2),
            ("\(server.base)/m.git/info/lfs/", 0),
        ] as [(String, Int32)] {
            try sandbox.directory.write("repo/.lfsconfig", "[lfs]\n\turl = \(address)\n")
            try repository.git("add", ".lfsconfig")
            try repository.save(address)
            let outcome = try build(sandbox, "git+file://\(repository.path)")
            #expect(outcome.status == status, "\(address): \(outcome.errors)")
        }
        #expect(try server.log().contains("/info/lfs/objects/batch"))
    }
}
