import Foundation
import Glibc
import TestSupport
import Testing

/// Images in one tar file: `oci-archive`.
@Suite struct ArchiveTests {
    private func model(_ sandbox: Sandbox) throws -> String {
        try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
    }

    private func read(_ sandbox: Sandbox, _ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(sandbox.path)/desk/\(path)")))
    }

    private func write(_ sandbox: Sandbox, _ path: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(sandbox.path)/desk/\(path)"))
    }

    /// Where each file of a tar archive without extended headers lies.
    private func entries(_ bytes: [UInt8]) -> [(name: String, content: Range<Int>)] {
        var found: [(String, Range<Int>)] = []
        var offset = 0
        while offset + 512 <= bytes.count, bytes[offset] != 0 {
            let name = String(decoding: bytes[offset..<offset + 100].prefix { $0 != 0 }, as: UTF8.self)
            let size = Int(String(decoding: bytes[offset + 124..<offset + 135], as: UTF8.self), radix: 8) ?? 0
            found.append((name, offset + 512..<offset + 512 + size))
            offset += 512 + (size + 511) / 512 * 512
        }
        return found
    }

    @Test func equalImagesGiveEqualFilesWhateverTheWay() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let image = "\(registry.host)/acme/m:1"
        try sandbox.done("build", "-t", image, "--output", "type=oci-archive,dest=built.tar", "--push", model)
        try sandbox.done("build", "-t", image, "-o", "again.tar", "--concurrency", "1", model)
        try sandbox.done("pull", "--format", "oci-archive", "-o", "pulled.tar", "--concurrency", "1", image)
        try sandbox.done("pull", image)
        try sandbox.done("export", image, "-o", "exported.tar")
        let built = try read(sandbox, "built.tar")
        for other in ["again.tar", "pulled.tar", "exported.tar"] {
            #expect(try read(sandbox, other) == built, "\(other)")
        }
        #expect(
            entries(built).map(\.name).suffix(2) == ["oci-layout", "index.json"],
            "what names the image comes last")
    }

    @Test(arguments: [[], ["--compression", "gzip"]] as [[String]])
    func gzippedAndEncryptedLayersFindTheirPlaces(_ flags: [String]) throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.done("keygen", "--type", "ec", "-o", "key")
        for build in [["-o", "plain.tar"], ["-o", "same.tar", "--concurrency", "1"]] {
            let outcome = try sandbox.start(["build", "-t", "m:1"] + build + flags + [model]).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        #expect(try read(sandbox, "plain.tar") == read(sandbox, "same.tar"))
        try sandbox.done("export", "plain.tar", "-o", "locked.tar", "--encryption-key", "key.pub.pem")
        try sandbox.done("verify", "locked.tar")
        #expect(try sandbox.kapsule("export", "locked.tar", "--format", "hf", "-o", "closed").status == 9)
        try sandbox.done("export", "locked.tar", "--format", "hf", "-o", "open", "--decryption-key", "key.pem")
        #expect(try FileTree("\(sandbox.path)/desk/open").differences(from: FileTree(model)) == [])
        try sandbox.done("export", "locked.tar", "-o", "opened.tar", "--decryption-key", "key.pem")
        try sandbox.done("verify", "oci-archive:opened.tar")
        try sandbox.done("export", "plain.tar", "--unzip", "-o", "unzipped.tar")
        try sandbox.done("verify", "unzipped.tar")
    }

    @Test func othersReadOursAndWeReadTheirs() throws {
        guard EndToEnd.hasReaders else { return }
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let digest = try EndToEnd.digest(in: try sandbox.done("build", "-t", "acme/m:1", "-o", "ours.tar", model))
        #expect(try sandbox.skopeo("inspect", "--format", "{{.Digest}}", "oci-archive:ours.tar") == "\(digest)\n")
        try sandbox.skopeo("copy", "oci-archive:ours.tar", "oci:layout:1")
        let unpacked = try sandbox.unpackedByUmoci("\(sandbox.path)/desk/layout", tag: "1")
        #expect(try FileTree("\(unpacked)/models").differences(from: FileTree(model)) == [])

        try sandbox.skopeo("copy", "oci:layout:1", "oci-archive:theirs.tar:seven")
        try sandbox.tool("tar", ["-C", "layout", "-cf", "dotted.tar", "."])
        for archive in ["theirs.tar", "oci-archive:theirs.tar:seven", "dotted.tar", "oci-archive:dotted.tar:1"] {
            let out = "out-\(UUID().uuidString)"
            try sandbox.done("export", archive, "--format", "hf", "-o", out)
            #expect(
                try FileTree("\(sandbox.path)/desk/\(out)").differences(from: FileTree(model)) == [])
        }
        // Read in place, a build on it has nothing but to name the same layers.
        let store = try EndToEnd.digest(in: try sandbox.done("build", "-t", "again:1", "oci-archive:ours.tar:1"))
        #expect(store == digest)
        try sandbox.directory.write("desk/sub/Modelfile", "FROM oci-archive:../ours.tar\n")
        #expect(try EndToEnd.digest(in: try sandbox.done("build", "-t", "again:2", "sub")) == digest)
    }

    @Test(.enabled(if: TestProgram.podman.isUsable, "podman is missing"))
    func podmanLoadsIt() throws {
        let sandbox = try Sandbox()
        let tag = "kapsule-test-\(UUID().uuidString.lowercased()):1"
        try sandbox.done("build", "-t", tag, "-o", "m.tar", try model(sandbox))
        // podman allows no long path here.
        let short = "/tmp/kp-\(UInt32.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: short) }
        let store = ["--root", "\(short)/root", "--runroot", "\(short)/run", "--storage-driver", "vfs"]
        let said = try sandbox.tool("podman", store + ["load", "-q", "-i", "m.tar"])
        #expect(said.contains(tag), "\(said)")
        try sandbox.tool("podman", store + ["rmi", "-a", "-f"])
    }

    @Test func whatAKilledRunHasFinishedIsNotFetchedAgain() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let image = "\(registry.host)/m:1"
        try sandbox.done("build", "-t", image, "-o", "whole.tar", "--push", try model(sandbox))
        let whole = try read(sandbox, "whole.tar")
        let blobs = entries(whole).filter { $0.name.hasPrefix("blobs/sha256/") && !$0.content.isEmpty }
        let (first, second) = (blobs[0], blobs[1])
        #expect(second.content.count > 16 << 20)
        // The first blob was damaged on the disk, the second is whole, the rest had not come yet.
        var partial = Array(whole[..<(second.content.upperBound + 512)])
        partial[first.content.lowerBound + 700] ^= 1
        try write(sandbox, "m.tar.partial", partial)
        let pull = try sandbox.kapsule("pull", "--debug", "-o", "m.tar", image)
        #expect(pull.status == 0, "\(pull.errors)")
        func fetched(_ name: String) -> Bool {
            let digest = name.dropFirst("blobs/sha256/".count)
            return pull.errors.split(separator: "\n").contains {
                $0.contains("GET") && $0.contains("/blobs/sha256:\(digest)")
            }
        }
        #expect(fetched(first.name), "\(pull.errors)")
        #expect(!fetched(second.name), "\(pull.errors)")
        #expect(try read(sandbox, "m.tar") == whole)
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/m.tar.partial"))
    }

    @Test func aKilledPullGoesOnAndLeavesNothingUnderTheName() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        try sandbox.done("build", "-t", "\(registry.host)/m:1", "-o", "whole.tar", "--push", try model(sandbox))
        let child = try sandbox.start(["pull", "-o", "m.tar", "\(relay.host)/m:1"])
        let pid = child.pid
        relay.after(8_000_000, .down) { _ = Glibc.kill(pid, SIGKILL) }
        #expect(try child.wait().status != 0)
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/m.tar"))
        #expect(FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/m.tar.partial"))
        try sandbox.done("pull", "-o", "m.tar", "\(relay.host)/m:1")
        try sandbox.done("verify", "m.tar")
    }

    @Test func everyFlippedByteOfABlobIsFound() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0) }
        try sandbox.done("build", "-t", "m:1", "-o", "m.tar", model)
        let whole = try read(sandbox, "m.tar")
        #expect(try sandbox.done("verify", "m.tar").hasSuffix("is whole, 3 blobs"))
        var random = SeededGenerator(seed: 7)
        for entry in entries(whole) where entry.name.hasPrefix("blobs/sha256/") && !entry.content.isEmpty {
            var bytes = whole
            bytes[Int.random(in: entry.content, using: &random)] ^= 0x10
            try write(sandbox, "bad.tar", bytes)
            let outcome = try sandbox.kapsule("verify", "bad.tar")
            #expect(outcome.status == 8, "\(entry.name): \(outcome.errors)")
            let unpacked = try sandbox.kapsule(
                "export", "bad.tar", "--format", "hf", "-o", "never-\(entry.content.lowerBound)")
            #expect(unpacked.status == 8 || entry.content.count < 1000, "\(entry.name): \(unpacked.errors)")
        }
        for cut in [whole.count / 2, entries(whole).last!.content.lowerBound] {
            try write(sandbox, "bad.tar", Array(whole[..<cut]))
            #expect(try sandbox.kapsule("verify", "bad.tar").status == 8)
        }
    }

    @Test func whatIsNoArchiveIsNamed() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0) }
        try sandbox.done("build", "-t", "m:1", "-o", "m.tar", model)
        try sandbox.tool("gzip", ["-k", "m.tar"])
        try sandbox.tool("tar", ["-cf", "other.tar", "m"])
        try sandbox.directory.write("desk/d/manifest.json", "[]")
        try sandbox.tool("tar", ["-C", "d", "-cf", "docker.tar", "manifest.json"])
        try sandbox.directory.write("desk/text.tar", "hello")
        for (file, message) in [
            ("m.tar.gz", "m.tar.gz is compressed, and an archive is read in place"),
            ("other.tar", "other.tar is a tar archive without index.json"),
            ("docker.tar", "docker.tar is an archive of old 'docker save'"), ("text.tar", "text.tar is no tar archive"),
            ("missing.tar", "missing.tar"),
        ] {
            let outcome = try sandbox.kapsule("inspect", "oci-archive:\(file)")
            #expect(outcome.status == 2, "\(file): \(outcome.errors)")
            #expect(outcome.errors.contains(message), "\(outcome.errors)")
        }
    }

    @Test func aFileThatIsThereStaysUnlessItIsTheSame() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0) }
        let other = try sandbox.context("o", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0, seed: 2) }
        try sandbox.done("build", "-t", "m:1", "-o", "m.tar", model)
        try sandbox.done("build", "-t", "m:1", "-o", "m.tar", model)
        let refused = try sandbox.kapsule("build", "-t", "m:1", "-o", "m.tar", other)
        #expect(refused.status == 6)
        #expect(refused.errors.contains("m.tar is there already, and holds another image"))
        try sandbox.done("build", "-t", "m:1", "--force", "-o", "m.tar", other)
        try sandbox.directory.write("desk/notes.tar", "mine")
        #expect(try sandbox.kapsule("build", "-o", "notes.tar", model).status == 6)
        #expect(try read(sandbox, "notes.tar") == Array("mine".utf8))
    }

    @Test func aLayoutIsCheckedWithAllItsImages() throws {
        let sandbox = try Sandbox()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let model = try sandbox.context(name, modelfile: "FROM .\n") {
                try SampleModel.writeTiny(to: $0, seed: seed)
            }
            try sandbox.done("build", "-t", "m:\(name)", "-o", "layout", model)
        }
        #expect(try sandbox.done("verify", "oci:layout").hasSuffix("2 images are whole, 5 blobs"))
        let layer = try #require(
            try FileManager.default.contentsOfDirectory(atPath: "\(sandbox.path)/desk/layout/blobs/sha256").sorted()
                .first {
                    try read(sandbox, "layout/blobs/sha256/\($0)").count > 50_000
                })
        var bytes = try read(sandbox, "layout/blobs/sha256/\(layer)")
        bytes[2000] ^= 1
        try FileManager.default.removeItem(atPath: "\(sandbox.path)/desk/layout/blobs/sha256/\(layer)")
        try write(sandbox, "layout/blobs/sha256/\(layer)", bytes)
        #expect(try sandbox.kapsule("verify", "oci:layout").status == 8)
    }
}
