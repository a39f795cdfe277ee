import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@testable import Encryption

@Suite(.enabled(if: TestProgram.openssl.isUsable, "needs openssl")) struct PKCS7Tests {
    @Test func opensWhatItWrote() throws {
        let keys = try TestKeys()
        let recipients = try ["cert.pem", "other-cert.pem"].map {
            try Recipient(.pkcs7(keys.path($0)), environment: [:])
        }
        let layer = try Samples.encrypt(Samples.plaintext, for: recipients)
        #expect(layer.annotations.keys.sorted() == ["\(LayerAnnotations.keys)pkcs7", LayerAnnotations.publicOptions])
        for name in ["cert-key.pem", "other-cert-key.pem"] {
            var keyring = Keyring()
            try keyring.add(keys.path(name), environment: [:])
            #expect(
                try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring)
                    == Samples.plaintext)
        }
        var stranger = Keyring()
        try stranger.add(keys.path("rsa.pem"), environment: [:])
        #expect(failure { try stranger.unlock(layer.annotations, what: "it") } == "encryption.not-for-us")
    }

    /// Every byte of a message, in turn: never a crash, and never other options than those that were wrapped.
    @Test func noChangeOfAMessageGetsThrough() throws {
        let keys = try TestKeys()
        let layer = try Samples.encrypt(
            Samples.plaintext, for: [try Recipient(.pkcs7(keys.path("cert.pem")), environment: [:])])
        var keyring = Keyring()
        try keyring.add(keys.path("cert-key.pem"), environment: [:])
        let name = "\(LayerAnnotations.keys)pkcs7"
        let message = try #require(Base64.decode(layer.annotations[name] ?? ""))
        for index in message.indices {
            var changed = message
            changed[index] ^= 0x41
            var annotations = layer.annotations
            annotations[name] = Base64.encode(changed)
            let result = try? Samples.decrypt(layer.ciphertext, annotations, layer.artifact, with: keyring)
            #expect(result == nil || result == Samples.plaintext)
        }
    }

    @Test func certificatesWithKeysOnCurvesAreRefused() throws {
        let keys = try TestKeys()
        #expect(failure { try Recipient(.pkcs7(keys.path("ec-cert.pem")), environment: [:]) } == "key.unsupported")
        _ = try Recipient(.jwe(keys.path("ec-cert.pem")), environment: [:])
    }
}
