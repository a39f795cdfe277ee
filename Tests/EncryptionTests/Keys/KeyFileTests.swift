import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@testable import Encryption

@Suite(.enabled(if: TestProgram.openssl.isUsable, "needs openssl")) struct KeyFileTests {
    @Test(arguments: [
        ("rsa-pub.pem", "rsa.pem"), ("rsa-pub.der", "rsa.der"), ("rsa-pub-pkcs1.pem", "rsa-pkcs1.pem"),
        ("p256-pub.pem", "p256.pem"), ("p256-pub.pem", "p256-sec1.pem"), ("p256-pub.pem", "p256-sec1.der"),
        ("p384-pub.pem", "p384.pem"), ("p521-pub.pem", "p521.pem"),
        ("rsa-pub.pem", "rsa-pbes2.pem:correct horse"), ("rsa-pub.pem", "rsa-pbes2.der:pass=correct horse"),
        ("p256-pub.pem", "p256-scrypt.pem:correct horse"), ("rsa-pub.pem", "rsa-aes256.pem:correct horse"),
        ("rsa-pub.pem", "rsa-aes128.pem:correct horse"), ("rsa-pub.pem", "rsa-des3.pem:correct horse"),
        ("p256-pub.pem", "p256-aes256.pem:correct horse"), ("jwe:cert.pem", "cert-key.pem"),
        ("cert.pem", "cert-key.pem"),
    ]) func everyFormOpensWhatWasEncryptedForIt(_ public: String, _ private: String) throws {
        let keys = try TestKeys()
        let name = `public`.replacingOccurrences(of: "jwe:", with: "")
        let reference: Recipient.Reference =
            `public`.hasPrefix("jwe:") ? .jwe(keys.path(name)) : .file(keys.path(name))
        let layer = try Samples.encrypt(Samples.plaintext, for: [try Recipient(reference, environment: [:])])
        var keyring = Keyring()
        try keyring.add(keys.path(`private`), environment: [:])
        #expect(
            try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring) == Samples.plaintext
        )
    }

    @Test func passphrasesComeFromFilesWithoutTheirLineEnd() throws {
        let keys = try TestKeys()
        var keyring = Keyring()
        try keyring.add("\(keys.path("rsa-pbes2.pem")):file=\(keys.path("passphrase"))", environment: [:])
        #expect(!keyring.isEmpty)
    }

    @Test(arguments: [
        ("rsa.pem", "key.private-as-recipient"), ("rsa-pbes2.pem", "key.private-as-recipient"),
        ("rsa-aes256.pem", "key.private-as-recipient"), ("p256-sec1.der", "key.private-as-recipient"),
        ("rsa1024-pub.pem", "key.too-short"), ("ed25519-pub.pem", "key.unsupported"), ("k1-pub.pem", "key.unsupported"),
        ("passphrase", "key.not-a-key"),
    ]) func recipientsAreRefusedByName(_ file: String, _ id: String) throws {
        let keys = try TestKeys()
        #expect(failure { try Recipient(.file(keys.path(file)), environment: [:]) } == id)
    }

    @Test(arguments: [
        ("rsa-pub.pem", "key.public-for-decryption"), ("rsa-pbes2.pem", "key.passphrase-missing"),
        ("rsa-aes256.pem", "key.passphrase-missing"), ("rsa-pbes2.pem:wrong", "key.passphrase-wrong"),
        ("rsa-aes256.pem:wrong", "key.passphrase-wrong"), ("rsa-des3.pem:wrong", "key.passphrase-wrong"),
        ("rsa-pbes2.der:wrong", "key.passphrase-wrong"), ("ed25519.pem", "key.unsupported"),
        ("rsa1024.pem", "key.too-short"), ("passphrase", "key.not-a-key"), ("rsa.pem:fd=x", "key.passphrase"),
    ]) func decryptionKeysAreRefusedByName(_ file: String, _ id: String) throws {
        let keys = try TestKeys()
        var keyring = Keyring()
        #expect(failure { try keyring.add(keys.path(file), environment: [:]) } == id)
    }

    @Test func errorsShowNoSecret() throws {
        let keys = try TestKeys()
        var keyring = Keyring()
        do {
            try keyring.add("\(keys.path("rsa-pbes2.pem")):hunter2", environment: [:])
        } catch {
            #expect(!"\(error)".contains("hunter2"))
        }
    }

    @Test func webKeysAreReadBothWays() throws {
        let directory = try TemporaryDirectory()
        let key = try #require(PrivateKey.generate(.ec(.p521)))
        let point = try #require(key.publicKey?.coordinates)
        let json = """
            {"kty":"EC","crv":"P-521","x":"\(Base64.encode(point.x, .url))","y":"\(Base64.encode(point.y, .url))"}
            """
        let path = try directory.write("key.jwk", json)
        let layer = try Samples.encrypt(Samples.plaintext, for: [try Recipient(.file(path), environment: [:])])
        let der = try #require(key.pkcs8())
        let secret = try directory.write("key.pem", PEMBlock.encode("PRIVATE KEY", der.bytes))
        var keyring = Keyring()
        try keyring.add(secret, environment: [:])
        #expect(
            try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring) == Samples.plaintext
        )
    }

    /// Source: RFC 7518, appendix C, Bob's key.
    @Test func privateWebKeysAreRead() throws {
        let json = #"""
            {"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}
            """#
        guard case .privateKey(let key) = try KeyFile.parse(Array(json.utf8), passphrase: nil, named: "it") else {
            Issue.record("a private JSON Web Key is a private key")
            return
        }
        #expect(key.kind == .ec(.p256))
    }
}
