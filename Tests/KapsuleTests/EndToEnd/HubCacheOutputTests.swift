import Foundation
import TestSupport
import Testing

/// `type=hf-cache`: what `huggingface_hub` and transformers find without a network.
@Suite struct HubCacheOutputTests {
    static let commit = String(repeating: "0123456789", count: 4)

    private func model(_ sandbox: Sandbox) throws -> String {
        try sandbox.context("m", modelfile: "FROM .\n") { path in
            try SampleModel.writeFew(to: path)
            for (name, text) in [
                ("config.json", #"{"model_type":"bert","hidden_size":48}"#), ("sub/copy.txt", "the same"),
                ("sub/deeper/copy.txt", "the same"),
            ] {
                let file = URL(fileURLWithPath: "\(path)/\(name)")
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: file)
            }
        }
    }

    private func build(_ sandbox: Sandbox, _ model: String, _ output: String = "ref=main", _ more: String...) throws
        -> Child.Outcome
    {
        try sandbox.start(
            ["build", "-o", "type=hf-cache,\(output)", "--model-id", "acme/tiny@\(Self.commit)", model] + more
        ).wait()
    }

    @Test(.enabled(if: TestProgram.pythonTransformers.isUsable, "the hub's client"))
    func theHubsOwnClientFindsItOffline() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let cache = "\(sandbox.path)/home/.cache/huggingface/hub"
        sandbox.environment["XDG_CACHE_HOME"] = nil
        let outcome = try build(sandbox, model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let snapshot = "\(cache)/models--acme--tiny/snapshots/\(Self.commit)"
        #expect(outcome.output.hasPrefix("\(snapshot)@sha256:"))
        let script = """
            import sys
            from huggingface_hub import scan_cache_dir, snapshot_download, try_to_load_from_cache
            from transformers import AutoConfig
            print(snapshot_download("acme/tiny"))
            print(snapshot_download("acme/tiny", revision="\(Self.commit)"))
            print(try_to_load_from_cache("acme/tiny", "sub/deeper/copy.txt"))
            print(AutoConfig.from_pretrained("acme/tiny").hidden_size)
            print([str(warning) for warning in scan_cache_dir().warnings])
            """
        let said = try Child(
            "/usr/bin/env", ["python3", "-c", script],
            environment: [
                "PATH": URL(fileURLWithPath: try #require(TestProgram.pythonTransformers.path))
                    .deletingLastPathComponent()
                    .path
                    + ":/usr/bin:/bin",
                "HOME": "\(sandbox.path)/home", "HF_HUB_OFFLINE": "1",
            ], in: sandbox.path
        ).wait()
        #expect(said.status == 0, "\(said.errors)")
        #expect(
            said.output == "\(snapshot)\n\(snapshot)\n\(snapshot)/sub/deeper/copy.txt\n48\n[]\n")
        #expect(
            try FileTree(snapshot).differences(from: FileTree(model), ignoring: ["Modelfile"]).filter {
                !$0.hasPrefix("other mode")
            } == [])
        #expect(sandbox.debris == [])
    }

    @Test func filesOfOneContentAreOneBlobAndLinksAreRelative() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        #expect(try build(sandbox, model, "dest=cache").status == 0)
        let folder = "\(sandbox.path)/desk/cache/models--acme--tiny"
        let manager = FileManager.default
        let link = try manager.destinationOfSymbolicLink(
            atPath: "\(folder)/snapshots/\(Self.commit)/sub/deeper/copy.txt")
        #expect(link.hasPrefix("../../../../blobs/"))
        #expect(
            try manager.destinationOfSymbolicLink(atPath: "\(folder)/snapshots/\(Self.commit)/sub/copy.txt")
                == String(link.dropFirst(3)))
        #expect(try manager.contentsOfDirectory(atPath: "\(folder)/blobs").count == 6)
        // Nobody asked for a ref.
        #expect(try manager.contentsOfDirectory(atPath: folder).sorted() == ["blobs", "snapshots"])
    }

    @Test func aBlobThatIsThereIsReadAndKeptAndAWrongOneIsAConflict() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        #expect(try build(sandbox, model, "dest=cache").status == 0)
        let blobs = URL(fileURLWithPath: "\(sandbox.path)/desk/cache/models--acme--tiny/blobs")
        let largest = try #require(
            try FileManager.default.contentsOfDirectory(at: blobs, includingPropertiesForKeys: [.fileSizeKey]).max {
                try $0.resourceValues(forKeys: [.fileSizeKey]).fileSize! < $1.resourceValues(forKeys: [.fileSizeKey])
                    .fileSize!
            })
        var bytes = try Data(contentsOf: largest)
        bytes[1_000_000] ^= 1
        try bytes.write(to: largest)
        let refused = try build(sandbox, model, "dest=cache")
        #expect(refused.status == 6)
        #expect(refused.errors.contains("is there already, with other content"))
        #expect(try build(sandbox, model, "dest=cache", "--force", "--verify").status == 0)
        // A branch moves without being asked twice.
        for commit in [Self.commit, String(Self.commit.reversed())] {
            try sandbox.done(
                "build", "-o", "type=hf-cache,dest=cache,ref=pr/1", "--model-id", "acme/tiny@\(commit)", model)
            #expect(
                try String(contentsOfFile: "\(sandbox.path)/desk/cache/models--acme--tiny/refs/pr/1", encoding: .utf8)
                    == commit)
        }
    }

    @Test(arguments: [
        ("acme/tiny@main", "is not a commit of 40 hex digits"), ("acme/tiny/x@", "is not a commit"),
        ("a/b/c@\(commit)", "is not one that the hub gives"), ("acme/a--b@\(commit)", "is not one that the hub gives"),
        ("../x@\(commit)", "is not one that the hub gives"),
    ])
    func onlyACommitOfTheHubHasAPlace(_ identity: String, _ reason: String) throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let outcome = try sandbox.kapsule("build", "-o", "type=hf-cache,dest=cache", "--model-id", identity, model)
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(reason), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/cache"))
    }
}
