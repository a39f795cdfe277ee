import Foundation
import TestSupport
import Testing

/// Encrypted images by way of a registry, with the built program and with skopeo.
@Suite(.enabled(if: EndToEnd.hasReaders)) struct EncryptedImageTests {
    /// A registry that wants a token, a small model, and keys of two people.
    private struct Place {
        let registry: ThrowawayRegistry
        let sandbox: Sandbox
        let model: String
        let image: String

        init(modelfile: String = "FROM .\nSYSTEM \"\"\"a secret of the house\"\"\"\n") throws {
            registry = try ThrowawayRegistry(.token(TokenServer()))
            sandbox = try Sandbox()
            model = try sandbox.context("m", modelfile: modelfile) { try SampleModel.writeFew(to: $0) }
            image = "\(registry.host)/acme/m:1"
            try sandbox.done(
                "login", "--username", TokenServer.user, "--password-stdin", registry.host, input: TokenServer.password)
            for name in ["alice", "bob"] { try sandbox.done("keygen", "--type", "ec", "-o", name) }
        }

        func differences(in directory: String) throws -> [String] {
            try FileTree(directory).differences(from: FileTree(model), ignoring: ["Modelfile"])
        }

        /// Whether the registry has the text anywhere, as it is.
        func isStored(_ text: String) throws -> Bool {
            let root = URL(fileURLWithPath: registry.data)
            let files = try FileManager.default.subpathsOfDirectory(atPath: registry.data).map {
                root.appendingPathComponent($0)
            }
            let contents = files.compactMap { try? Data(contentsOf: $0) }
            try #require(!contents.isEmpty)
            return contents.contains { $0.range(of: Data(text.utf8)) != nil }
        }
    }

    @Test func whatIsPushedIsForItsRecipientsAlone() throws {
        let place = try Place()
        let (sandbox, image) = (place.sandbox, place.image)
        try sandbox.done("build", "-t", image, "--encryption-key", "alice.pub.pem", place.model)
        #expect(try !place.isStored("a secret of the house"))

        try sandbox.done("pull", "--format", "hf", "-o", "ours", "--decryption-key", "alice.pem", image)
        #expect(try place.differences(in: "\(sandbox.path)/desk/ours") == [])
        try sandbox.skopeo("copy", "--decryption-key", "alice.pem", "docker://\(image)", "oci:theirs:1")
        let unpacked = try sandbox.unpackedByUmoci("\(sandbox.path)/desk/theirs", tag: "1")
        #expect(try place.differences(in: "\(unpacked)/models") == [])

        for key in [["--decryption-key", "bob.pem"], []] {
            let refused = try sandbox.start(["pull", "--format", "hf", "-o", "none"] + key + [image]).wait()
            #expect(refused.status == 9 && refused.output.isEmpty, "\(refused.errors)")
            #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/none"))
        }
        #expect(sandbox.debris == [])
    }

    @Test func aStoredImageIsEncryptedOnItsWayOutAndShared() throws {
        let place = try Place()
        let (sandbox, image) = (place.sandbox, place.image)
        try sandbox.done("build", "-t", "m:1", place.model)
        try sandbox.done("push", "--encryption-key", "alice.pub.pem", "m:1", image)
        #expect(try !place.isStored("a secret of the house"))
        try sandbox.done(
            "recipients", "add", image, "--decryption-key", "alice.pem", "--encryption-key", "bob.pub.pem")
        try sandbox.done("pull", "--format", "hf", "-o", "ours", "--decryption-key", "bob.pem", image)
        #expect(try place.differences(in: "\(sandbox.path)/desk/ours") == [])
        try sandbox.skopeo("copy", "--decryption-key", "bob.pem", "docker://\(image)", "oci:theirs:1")
        try sandbox.done("recipients", "rm", image, "1")
        #expect(try sandbox.kapsule("pull", "--decryption-key", "alice.pem", "-o", "none", image).status == 9)
    }

    @Test func aBaseIsEncryptedWithTheModel() throws {
        let place = try Place()
        let (sandbox, image) = (place.sandbox, place.image)
        let base = try sandbox.context("base", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0, seed: 7) }
        try sandbox.done("build", "-t", "base:1", base)
        try sandbox.done(
            "build", "-t", image, "--base", "base:1", "--encryption-key", "alice.pub.pem", place.model)
        let described = try EndToEnd.object(try sandbox.done("inspect", "--json", image))
        let layers = try #require(described["layers"] as? [[String: Any]]).compactMap { $0["mediaType"] as? String }
        #expect(layers.count > 2 && layers.allSatisfy { $0.hasSuffix("+encrypted") }, "\(layers)")
        try sandbox.skopeo("copy", "--decryption-key", "alice.pem", "docker://\(image)", "oci:theirs:1")
    }

    @Test func logsAndArgumentsHoldNoSecret() throws {
        let place = try Place()
        let (sandbox, image) = (place.sandbox, place.image)
        try sandbox.directory.write("desk/word", "open sesame")
        try sandbox.done("keygen", "-o", "carol", "--bits", "2048", "--passphrase-file", "word")
        let login = ["--username", TokenServer.user, "--password-stdin", "--debug"]
        let commands = [
            ["build", "-t", image, "--encryption-key", "carol.pub.pem"] + login + [place.model],
            ["pull", "--format", "hf", "-o", "out", "--decryption-key", "carol.pem:file=word"] + login + [image],
        ]
        let keyText = try String(contentsOfFile: "\(sandbox.path)/desk/carol.pem", encoding: .utf8)
        let secrets =
            [TokenServer.password, "open sesame", Data(TokenServer.password.utf8).base64EncodedString(), "Bearer ey"]
            + keyText.split(separator: "\n").filter { !$0.hasPrefix("-") }.map(String.init)
        for command in commands {
            let outcome = try sandbox.start(command, input: TokenServer.password).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
            for secret in secrets { #expect(!(outcome.errors + outcome.output).contains(secret), "\(command[0])") }
        }
    }
}
