import Foundation
import TestSupport
import Testing

/// `--format pytorch`: checkpoints known by what is in them, not by their names.
@Suite struct PyTorchTests {
    /// What torch.save has written since 1.6: a ZIP of stored members below one directory.
    private static let zipScript = """
        import pickle, sys, zipfile
        with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_STORED) as file:
            file.writestr("archive/data.pkl", pickle.dumps({"w": 1}, protocol=2))
            file.writestr("archive/version", "3\\n")
            file.writestr("archive/data/0", bytes(range(256)) * 64)
        """
    /// Before that: pickles one after the other, the first of them a magic number.
    private static let legacyScript = """
        import pickle, sys
        with open(sys.argv[1], "wb") as file:
            for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True,
                         "type_sizes": {"short": 2, "int": 4, "long": 4}}, {"w": 1}, []):
                pickle.dump(part, file, protocol=2)
        """

    private func model(_ sandbox: Sandbox) throws -> String {
        let model = try sandbox.context("m", modelfile: "FROM .\n") { _ in }
        for (script, name) in [(Self.zipScript, "pytorch_model.bin"), (Self.legacyScript, "old.pt")] {
            try sandbox.tool("python3", ["-c", script, "\(model)/\(name)"])
        }
        try sandbox.directory.write("desk/m/config.json", #"{"model_type":"bert"}"#)
        try sandbox.directory.write(
            "desk/m/model.safetensors", GitSourceTests.Repository.safetensors([UInt8](repeating: 1, count: 100)))
        try sandbox.directory.write("desk/m/tiny.gguf", GGUFBytes.sample().bytes)
        return model
    }

    @Test(.enabled(if: TestProgram.python.isUsable, "python3"))
    func checkpointsAndWhatGoesWithThemAreTakenAndOtherWeightsAreNot() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.done("build", "--format", "pytorch", "-o", "out", "--verify", model)
        let out = try FileTree("\(sandbox.path)/desk/out")
        #expect(out.files == ["Modelfile", "config.json", "old.pt", "pytorch_model.bin"])
        #expect(
            try out.differences(from: FileTree(model))
                == ["only there: model.safetensors", "only there: tiny.gguf"])
        // From an image it is the same, and a second time nothing is to do.
        try sandbox.done("build", "-t", "m:1", model)
        try sandbox.done("export", "m:1", "--format", "pytorch", "-o", "exported")
        #expect(try FileTree("\(sandbox.path)/desk/exported").differences(from: out) == [])
        try sandbox.done("export", "m:1", "--format", "pytorch", "-o", "exported")
    }

    /// What torch.save wrote, after a journey through an image. Without torch a stand-in reads it, and says so.
    @Test(.enabled(if: TestProgram.python.isUsable, "python3"))
    func whatIsExportedIsLoaded() throws {
        let sandbox = try Sandbox()
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("test_fixtures/pytorch")
        let model = try sandbox.context("m", modelfile: "FROM .\n") { path in
            for name in ["pytorch_model.bin", "old.pt"] {
                try FileManager.default.copyItem(
                    atPath: folder.appendingPathComponent(name).path, toPath: "\(path)/\(name)")
            }
        }
        try sandbox.done("build", "-t", "m:1", model)
        try sandbox.done("export", "m:1", "--format", "pytorch", "-o", "exported")
        for name in ["pytorch_model.bin", "old.pt"] {
            let lines = try TestProgram.pythonFormats.check(
                [TestProgram.directory + "/torch_reader.py", "\(sandbox.path)/desk/exported/\(name)"]
            ).split(separator: "\n").map(String.init)
            if let first = lines.first, first.contains("stand-in") {
                FileHandle.standardError.write(Data("*** \(name) was \(first) ***\n".utf8))
            }
            #expect(
                Array(lines.dropFirst()) == [
                    "a.transposed float32 [4, 3] [0.0, 0.5, 1.0, 0.125, 0.625, 1.125, 0.25, 0.75, 1.25, 0.375, 0.875, 1.375]",
                    "a.weight float32 [3, 4] [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.125, 1.25, 1.375]",
                    "b.bias bfloat16 [3] [1.5, -2.0, 0.25]", "c.counts int64 [2, 2] [1.0, 2.0, 3.0, 4.0]",
                    "d.half float16 [2] [0.5, 3.0]",
                ])
        }
    }

    @Test(.enabled(if: TestProgram.python.isUsable, "python3"))
    func aModelWithoutCheckpointsIsRefused() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        // By its name it would be one.
        try sandbox.directory.write(
            "desk/m/weights.bin", GitSourceTests.Repository.safetensors([UInt8](repeating: 1, count: 100)))
        let outcome = try sandbox.kapsule(
            "build", "--format", "pytorch", "-o", "out", "--exclude", "pytorch_model.bin", "--exclude", "old.pt", model)
        #expect(outcome.status == 2)
        #expect(
            outcome.errors.contains(
                "the model has no PyTorch weights, so there is nothing for torch.load: model.safetensors is of another format"
            ),
            "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/out"))
    }
}
