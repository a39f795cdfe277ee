import Foundation
import TestSupport
import Testing

/// What the options of build, pull and plan promise.
@Suite struct BuildOptionsTests {
    private func layers(_ described: String) throws -> [[String: Any]] {
        try #require(try EndToEnd.object(described)["layers"] as? [[String: Any]])
    }

    private func files(_ sandbox: Sandbox, _ image: String) throws -> [String] {
        let out = "out-\(UUID().uuidString)"
        try sandbox.done("export", "--format", "hf", "-o", out, image)
        return try FileTree("\(sandbox.path)/desk/\(out)").files
    }

    struct Choice: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var modelfile = "FROM .\n"
        var ignoreFile: String?
        var options: [String] = []
        let files: [String]
    }

    @Test(arguments: [
        Choice(
            testDescription: "everything",
            files: ["Modelfile", "config.json", "model.safetensors", "run.sh", "sub/notes.txt", "tokenizer.json"]),
        Choice(
            testDescription: "EXCLUDE, and back in", modelfile: "FROM .\nEXCLUDE *.json sub/\nEXCLUDE !config.json\n",
            files: ["Modelfile", "config.json", "model.safetensors", "run.sh"]),
        Choice(
            testDescription: "--exclude has the last word", modelfile: "FROM .\nEXCLUDE *.json !config.json\n",
            options: ["--exclude", "config.json", "--exclude", "**/*.txt"],
            files: ["Modelfile", "model.safetensors", "run.sh"]),
        Choice(
            testDescription: "--include", options: ["--include", "*.json"],
            files: ["Modelfile", "config.json", "tokenizer.json"]),
        Choice(
            testDescription: "ignore file", ignoreFile: "# notes\n*.json\n!config.json\n/sub\n",
            files: ["Modelfile", "config.json", "model.safetensors", "run.sh"]),
        Choice(
            testDescription: "files by name", modelfile: "FROM ./model.safetensors\nFROM config.json\n",
            files: ["Modelfile", "config.json", "model.safetensors"]),
        Choice(
            testDescription: "an adapter", modelfile: "FROM ./model.safetensors\nADAPTER ./sub\n",
            files: ["Modelfile", "model.safetensors", "sub/notes.txt"]),
    ]) func choosesFiles(_ choice: Choice) throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: choice.modelfile) { try SampleModel.writeFew(to: $0) }
        if let text = choice.ignoreFile { try sandbox.directory.write("desk/m/.kapsuleignore", text) }
        let outcome = try sandbox.start(["build", "-t", "m:1"] + choice.options + [model]).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try files(sandbox, "m:1") == choice.files)
    }

    @Test func gzippedLayersAreReadByEveryone() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let image = "\(registry.host)/m:1"
        try sandbox.done("build", "--compression", "gzip", "-t", image, model)
        #expect(
            try layers(try sandbox.done("inspect", "--json", image)).allSatisfy {
                $0["mediaType"] as? String == "application/vnd.oci.image.layer.v1.tar+gzip"
            })
        try sandbox.skopeo("copy", "docker://\(image)", "oci:copy:1")
        let unpacked = try sandbox.unpackedByUmoci("\(sandbox.path)/desk/copy", tag: "1")
        #expect(try FileTree("\(unpacked)/models").differences(from: FileTree(model)) == [])
        try sandbox.done("pull", "--format", "hf", "-o", "out", image)
        #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(model)) == [])
        // Unpacked on the way in, it is what an uncompressed build gives.
        try sandbox.done("build", "-t", "plain:1", model)
        try sandbox.done("pull", "--unzip", "-o", "unzipped", image)
        let plain = try layers(try sandbox.done("inspect", "--json", "plain:1")).map { $0["digest"] as? String }
        let unzipped = try layers(try sandbox.done("inspect", "--json", "oci:unzipped:1"))
        #expect(unzipped.map { $0["digest"] as? String } == plain)
        // A build on it reads through the compression.
        let again = try EndToEnd.digest(in: try sandbox.done("build", "-t", "again:1", "oci://\(image)"))
        #expect(try EndToEnd.digest(in: try sandbox.done("build", "-t", "plain:1", model)) == again)
        #expect(sandbox.debris == [])
    }

    @Test func oneImageForSeveralPlatforms() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        let image = "\(registry.host)/m:1"
        let digest = try EndToEnd.digest(
            in: try sandbox.done("build", "--platform", "linux/amd64,linux/arm64", "-t", image, model))
        for architecture in ["amd64", "arm64"] {
            let seen = try EndToEnd.object(
                try sandbox.tool(
                    "skopeo",
                    [
                        "--insecure-policy", "--override-arch", architecture, "inspect", "--tls-verify=false",
                        "docker://\(image)",
                    ]))
            #expect(seen["Architecture"] as? String == architecture)
            try sandbox.done("pull", "--platform", "linux/\(architecture)", "--format", "hf", "-o", architecture, image)
            #expect(try FileTree("\(sandbox.path)/desk/\(architecture)").differences(from: FileTree(model)) == [])
        }
        let described = try EndToEnd.object(try sandbox.done("inspect", "--json", image))
        #expect(described["digest"] as? String == digest)
        #expect(described["platforms"] as? [String] == ["linux/amd64", "linux/arm64"])
        #expect(try sandbox.kapsule("pull", "--platform", "linux/s390x", image).status == 2)
    }

    @Test func layersGoOnTopOfABase() throws {
        guard EndToEnd.hasReaders else { return }
        let sandbox = try Sandbox()
        // A base that umoci has made, with a shell that is none.
        try sandbox.tool("umoci", ["init", "--layout", "base"])
        try sandbox.tool("umoci", ["new", "--image", "base:1"])
        let shell = try sandbox.directory.write("desk/sh", "#!shell\n")
        try sandbox.tool("umoci", ["insert", "--rootless", "--image", "base:1", shell, "/bin/sh"])
        try sandbox.tool("umoci", ["config", "--image", "base:1", "--config.user", "1010", "--config.env", "A=b"])
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        try sandbox.done("build", "--base", "oci:base:1", "-t", "m:1", "-o", "layout", model)
        let unpacked = try sandbox.unpackedByUmoci("\(sandbox.path)/desk/layout", tag: "1")
        #expect(try FileTree("\(unpacked)/models").differences(from: FileTree(model)) == [])
        #expect(FileManager.default.fileExists(atPath: "\(unpacked)/bin/sh"))
        let seen = try EndToEnd.object(try sandbox.skopeo("inspect", "oci:layout:1"))
        #expect(seen["Env"] as? [String] == ["A=b"])
        #expect(seen["Architecture"] as? String == "amd64")
        #expect(try sandbox.done("verify", "oci:layout:1").contains("is whole"))
    }

    /// FROM takes an image from a registry, a layout and the store, and standard input has a Modelfile.
    @Test func oneModelIsBuiltOnAnother() throws {
        guard EndToEnd.hasRegistry else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\nPARAMETER temperature 0.5\nSYSTEM one\n")
        let image = "\(registry.host)/m:1"
        try sandbox.done("build", "-t", image, "-t", "stored:1", model)
        try sandbox.done("pull", "-o", "layout", image)
        var digests: Set<String> = []
        for source in ["oci://\(image)", "oci:layout", "oci:layout:1", "stored:1"] {
            let name = "built-\(digests.count):1"
            let modelfile = "FROM \(source)\nSYSTEM two\n"
            let reference = try sandbox.done("build", "-f", "-", "--force", "-t", name, ".", input: modelfile)
            digests.insert(try EndToEnd.digest(in: reference))
            try sandbox.done("export", "--format", "hf", "--force", "-o", "out", name)
            #expect(
                try sandbox.directory.read("desk/out/Modelfile")
                    == Array("FROM .\nSYSTEM two\nPARAMETER temperature 0.5\n".utf8))
        }
        #expect(digests.count == 1)
        // A source in place of a context: the model as it was.
        let copy = try EndToEnd.digest(in: try sandbox.done("build", "-t", "copy:1", "oci://\(image)"))
        #expect(try EndToEnd.object(try sandbox.done("inspect", "--json", image))["digest"] as? String == copy)
    }

    @Test func resultsAreForScripts() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        let outcome = try sandbox.kapsule(
            "build", "-q", "--verify", "--iidfile", "id", "--metadata-file", "about.json", "-t", "m:1", "-t", "m:two",
            model, with: ["SOURCE_DATE_EPOCH": "1700000000"])
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        let digest = try EndToEnd.digest(in: String(outcome.output.dropLast()))
        #expect(outcome.output == "m@\(digest)\n")
        #expect(try sandbox.directory.read("desk/id") == Array(digest.utf8))
        let about = try EndToEnd.object(String(decoding: try sandbox.directory.read("desk/about.json"), as: UTF8.self))
        #expect(about["containerimage.digest"] as? String == digest)
        #expect(about["image.name"] as? String == "m:1,m:two")
        let described = try EndToEnd.object(try sandbox.done("inspect", "--json", "m:two"))
        #expect(described["created"] as? String == "2023-11-14T22:13:20Z")
        let listed = try #require(
            try JSONSerialization.jsonObject(with: Data(try sandbox.done("ls", "--json").utf8)) as? [[String: Any]])
        #expect(listed.compactMap { $0["name"] as? String } == ["m:1", "m:two"])
    }

    @Test func progressIsForPrograms() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        for way in [["--progress", "json"], ["--debug", "--progress", "json"]] {
            let outcome = try sandbox.start(["build", "--no-cache", "-t", "m:1", model] + way).wait()
            let events = try outcome.errors.split(separator: "\n").map { try EndToEnd.object(String($0)) }
            let ended = events.filter { $0["event"] as? String == "ended" }
            #expect(ended.allSatisfy { $0["outcome"] as? String == "succeeded" })
            #expect(Set(ended.compactMap { $0["title"] as? String }).contains("model.safetensors"))
        }
        #expect(try sandbox.kapsule("build", "--progress", "none", "-t", "m:1", model).errors == "")
    }

    @Test func lookingMakesNothing() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        #expect(try sandbox.done("build", "--check", model) == "")
        let plan = try sandbox.done("build", "--dry-run", "-t", "127.0.0.1:1/m:1", model)
        #expect(plan.hasPrefix("#  STEP "))
        #expect(try sandbox.done("plan", "-t", "127.0.0.1:1/m:1", model) + "\n" == plan + "\n")
        #expect(try FileTree(sandbox.store).files.filter { $0.hasPrefix("blobs/") } == [])
    }

    /// What is not wanted is not fetched.
    @Test func aPartialPullFetchesNoOtherLayers() throws {
        guard EndToEnd.hasRegistry else { return }
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let image = "\(relay.host)/m:1"
        try sandbox.done("build", "-t", image, model)
        for option in [["--include", "*.json"], ["--exclude", "*.safetensors", "--exclude", "sub/**"]] {
            relay.reset()
            let out = "out\(option.count)"
            try #require(
                try sandbox.start(["pull", "--format", "hf", "-o", out] + option + [image]).wait().status == 0)
            #expect(relay.down < 200_000)
            let files = try FileTree("\(sandbox.path)/desk/\(out)").files
            #expect(files.contains("config.json") && files.contains("tokenizer.json"))
            #expect(!files.contains("model.safetensors") && !files.contains("sub/notes.txt"))
        }
        relay.reset()
        try sandbox.done("build", "--exclude", "*.safetensors", "-t", "small:1", "oci://\(image)")
        #expect(relay.down < 200_000)
    }

    /// Between repositories of one registry blobs are mounted.
    @Test func blobsAreMountedWithinARegistry() throws {
        guard EndToEnd.hasRegistry else { return }
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        try sandbox.done("build", "-t", "\(relay.host)/one/m:1", model)
        relay.reset()
        try sandbox.done("push", "oci://\(relay.host)/one/m:1", "\(relay.host)/two/m:1")
        #expect(relay.up < 40_000)
        #expect(relay.down < 100_000)
        try sandbox.done("verify", "\(relay.host)/two/m:1")
    }

    /// The cache of the hub's tools has one blob for files of equal content.
    @Test func twoLinksToOneFileAreTwoFiles() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\nADAPTER ./one.txt\n")
        try sandbox.directory.write("desk/m/one.txt", "equal")
        for name in ["two.txt", "three.txt"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(model)/\(name)", withDestinationPath: "one.txt")
        }
        try sandbox.done("build", "--no-check", "--format", "hf", "-o", "out", model)
        let files = try FileTree("\(sandbox.path)/desk/out").files
        #expect(Set(files).isSuperset(of: ["one.txt", "two.txt", "three.txt"]), "\(files)")
    }
}
