import Foundation
import TestSupport
import Testing

/// pull and export into the formats that a build makes.
@Suite struct RebuildTests {
    private func model(_ sandbox: Sandbox) throws -> String {
        try sandbox.context("m", modelfile: "FROM .\nPARAMETER temperature 0.5\n") { try SampleModel.writeFew(to: $0) }
    }

    private func bytes(_ sandbox: Sandbox, _ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(sandbox.path)/desk/\(path)")))
    }

    @Test func aVerityImageOfAnImageIsThatOfItsFiles() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let built = try sandbox.done("build", "--format", "verity", "--model-id", "a/b@1", "-o", "built", model)
        try sandbox.done("build", "-t", "acme/m:1", "-o", "type=oci,dest=layout", "-o", "type=store", model)
        // A directory of the image's name is not what was asked for.
        try sandbox.directory.write("desk/acme/m:1/config.json", "not this")
        for (source, out) in [("acme/m:1", "stored"), ("oci:layout:1", "laid-out")] {
            let line = try sandbox.done("export", source, "--format", "verity", "--model-id", "a/b@1", "-o", out)
            #expect(line == built)
            #expect(try bytes(sandbox, "\(out)/a/b/1.mpk") == bytes(sandbox, "built/a/b/1.mpk"))
        }
    }

    @Test func whatIsPulledCanBeFilteredAndDecryptedOnTheWay() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.done("keygen", "--bits", "2048", "-o", "key")
        try sandbox.done("build", "-t", "\(registry.host)/m:1", "--encryption-key", "key.pub.pem", model)
        let pull = ["pull", "--format", "repart", "--exclude", "sub/**", "-o", "disk", "\(registry.host)/m:1"]
        let locked = try sandbox.start(pull).wait()
        #expect(locked.status == 9, "\(locked.errors)")
        let line = try sandbox.start(pull + ["--decryption-key", "key.pem"]).wait()
        #expect(line.status == 0, "\(line.errors)")
        let plain = try sandbox.done("build", "--format", "repart", "--exclude", "sub/**", "-o", "plain", model)
        #expect(line.output == "\(plain)\n")
        #expect(try bytes(sandbox, "disk/disk.raw") == bytes(sandbox, "plain/disk.raw"))
    }

    @Test(arguments: [
        (["--format", "verity", "--disk-size", "8388608"], "--disk-size goes with --format repart."),
        (["--format", "repart", "--key-file", "k"], "--key-file goes with --format emwp."),
        (["--format", "verity", "--unzip"], "--unzip is about the layers of an image: it goes with --format oci."),
        (
            ["--format", "verity", "--encryption-key", "key.pub.pem"],
            "encryption was asked for, and the output 'verity' cannot carry it"
        ),
    ])
    func flagsThatWouldDoNothingAreRefused(_ flags: [String], _ message: String) throws {
        let sandbox = try Sandbox()
        try sandbox.done("keygen", "--bits", "2048", "-o", "key")
        try sandbox.done("build", "-t", "m:1", try sandbox.context("m", modelfile: "FROM .\n"))
        let outcome = try sandbox.start(["export", "m:1", "-o", "out"] + flags).wait()
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(message), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/out"))
    }
}
