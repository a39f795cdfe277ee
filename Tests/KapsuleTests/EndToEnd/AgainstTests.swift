import Foundation
import TestSupport
import Testing

/// `verify DIR --against IMAGE`.
@Suite struct AgainstTests {
    @Test func everyDifferenceIsListedAndNothingElse() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let manager = FileManager.default
        for (format, image) in [("oci", "oci:image"), ("modelpack", "oci:pack"), ("universal", "both.tar")] {
            let place = image.replacingOccurrences(of: "oci:", with: "")
            try sandbox.done("build", "--format", format, "-o", place, model)
            let out = "out-\(format)"
            try sandbox.done("export", image, "--format", "hf", "-o", out)
            let whole = try sandbox.done("verify", out, "--against", image)
            #expect(whole.hasPrefix("\(out): 6 files are those of \(image), sha256:"), "\(whole)")

            let folder = "\(sandbox.path)/desk/\(out)"
            var weights = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/model.safetensors"))
            weights[weights.count - 7] ^= 1
            try weights.write(to: URL(fileURLWithPath: "\(folder)/model.safetensors"))
            try manager.removeItem(atPath: "\(folder)/sub/notes.txt")
            try manager.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(folder)/run.sh")
            try sandbox.directory.write("desk/\(out)/sub/new.txt", "new")
            try manager.removeItem(atPath: "\(folder)/tokenizer.json")
            try manager.createSymbolicLink(atPath: "\(folder)/tokenizer.json", withDestinationPath: "config.json")
            let outcome = try sandbox.kapsule("verify", out, "--against", image)
            #expect(outcome.status == 8)
            #expect(
                outcome.output
                    == "changed: model.safetensors\nmode: run.sh\nextra: sub/new.txt\nmissing: sub/notes.txt\nchanged: tokenizer.json\n"
            )
            #expect(outcome.errors.contains("\(out) is not what \(image) holds: 5 files differ"), "\(outcome.errors)")
        }
    }

    @Test func anEncryptedImageNeedsItsKeyAndADamagedOneProvesNothing() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0) }
        try sandbox.done("keygen", "--type", "ec", "-o", "key")
        try sandbox.done("build", "--encryption-key", "key.pub.pem", "-o", "locked", model)
        #expect(try sandbox.kapsule("verify", model, "--against", "oci:locked").status == 9)
        try sandbox.done("verify", model, "--against", "oci:locked", "--decryption-key", "key.pem")

        try sandbox.done("build", "-o", "plain", model)
        let blobs = "\(sandbox.path)/desk/plain/blobs/sha256"
        let layer = try #require(
            try FileManager.default.contentsOfDirectory(atPath: blobs).first {
                try FileManager.default.attributesOfItem(atPath: "\(blobs)/\($0)")[.size] as? Int ?? 0 > 50_000
            })
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(blobs)/\(layer)"))
        bytes[3000] ^= 1
        try FileManager.default.removeItem(atPath: "\(blobs)/\(layer)")
        try bytes.write(to: URL(fileURLWithPath: "\(blobs)/\(layer)"))
        let outcome = try sandbox.kapsule("verify", model, "--against", "oci:plain")
        #expect(outcome.status == 8)
        #expect(outcome.output.isEmpty, "the directory is not to blame")
    }

    /// What was not taken is not missed, and what was taken is compared.
    @Test func aDirectoryOfSomeFilesIsComparedWithThose() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        for (format, place) in [("oci", "image"), ("modelpack", "pack")] {
            try sandbox.done("build", "--format", format, "-o", place, model)
            let flags = ["--include", "*.json", "--include", "sub/**", "--exclude", "tokenizer.json"]
            let export = ["export", "oci:\(place)", "--format", "hf", "-o", "some-\(format)"] + flags
            #expect(try sandbox.start(export).wait().status == 0)
            let verify = ["verify", "some-\(format)", "--against", "oci:\(place)"]
            let some = try sandbox.start(verify + flags).wait()
            #expect(some.status == 0, "\(some.output)\(some.errors)")
            #expect(some.output.contains(" files are those of oci:\(place), "), "\(some.output)")
            let all = try sandbox.start(verify).wait()
            #expect(all.status == 8)
            #expect(all.output.contains("missing: tokenizer.json\n"), "\(all.output)")
            try sandbox.directory.write("desk/some-\(format)/config.json", "{ }")
            let changed = try sandbox.start(verify + flags).wait()
            #expect(changed.output == "changed: config.json\n")
        }
    }

    @Test(arguments: [
        (["m:1", "--include", "*"], "--include and --exclude are for --against"),
        (["m", "--against", "m:1", "--exclude", "!"], "'!' is a pattern that matches nothing"),
        (["--against", "m:1"], "Say which directory"), (["m:1", "--decryption-key", "k"], "Keys are for --against"),
        (["nowhere", "--against", "m:1"], "nowhere is no directory to compare with m:1"),
    ])
    func wrongUseIsNamed(_ arguments: [String], _ message: String) throws {
        let sandbox = try Sandbox()
        let outcome = try sandbox.start(["verify"] + arguments).wait()
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(message), "\(outcome.errors)")
    }
}
