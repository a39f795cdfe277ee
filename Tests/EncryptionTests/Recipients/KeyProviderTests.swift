import Foundation
import KapsuleCore
import TestSupport
import Testing

@testable import Encryption

@Suite(.enabled(if: TestProgram.python.isUsable, "needs python3")) struct KeyProviderTests {
    let directory: TemporaryDirectory
    let environment: [String: String]

    init() throws {
        directory = try TemporaryDirectory()
        let key = try directory.write("key", "not a secret")
        let python = try #require(TestProgram.python.path)
        let config = try directory.write(
            "config.json",
            """
            {"key-providers":{"example":{"cmd":{"path":"\(python)","args":["\(TestProgram.directory)/key_provider.py","\(key)","\(directory.path)/log"]}},
            "remote":{"grpc":"127.0.0.1:1"},"broken":{"cmd":{"path":"/bin/false"}}}}
            """)
        environment = ["OCICRYPT_KEYPROVIDER_CONFIG": config, "PATH": "/usr/bin:/bin"]
    }

    @Test func aProgramWrapsAndUnwraps() throws {
        let layer = try Samples.encrypt(
            Samples.plaintext,
            for: [try Recipient(try Recipient.reference("provider:example:more:words"), environment: environment)])
        #expect(layer.annotations.keys.contains("org.opencontainers.image.enc.keys.provider.example"))
        var keyring = Keyring()
        try keyring.add("provider:example", environment: environment)
        #expect(
            try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring) == Samples.plaintext
        )
        let log = String(decoding: try directory.read("log"), as: UTF8.self)
        #expect(
            log.contains(Base64.encode(Array("more:words".utf8))) && log.contains(Base64.encode(Array("Enabled".utf8))))
    }

    /// ocicrypt hands a provider the private keys that were given for others.
    @Test func aProviderIsSentNobodyElsesKeys() throws {
        let layer = try Samples.encrypt(
            Samples.plaintext,
            for: [try Recipient(.provider(name: "example", parameter: nil), environment: environment)])
        var keyring = try Samples.vectorKeyring()
        try keyring.add("provider:example", environment: environment)
        _ = try keyring.unlock(layer.annotations, what: "it")
        #expect(!String(decoding: try directory.read("log"), as: UTF8.self).contains("privkeys"))
    }

    @Test(arguments: [("remote", "key.provider"), ("none", "key.provider")]) func whatCannotBeRunIsRefused(
        _ name: String, _ id: String
    ) {
        #expect(failure { try Recipient(.provider(name: name, parameter: nil), environment: environment) } == id)
    }

    @Test func aProgramThatFailsIsNamed() throws {
        let recipient = try Recipient(.provider(name: "broken", parameter: nil), environment: environment)
        #expect(failure { try Samples.encrypt([1], for: [recipient]) } == "key.provider-failed")
    }
}
