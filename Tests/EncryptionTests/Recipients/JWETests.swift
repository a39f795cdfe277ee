import KapsuleCore
import KapsuleCrypto
import Testing

@testable import Encryption

@Suite struct JWETests {
    static let z = Samples.secret((0..<32).map { UInt8($0) })

    @Test func derivesKeysAsPinned() {
        let long = ConcatKDF.derive(Self.z, algorithm: "ECDH-ES+A256KW", partyU: [], partyV: [], count: 32)
        #expect(Hex.encode(long.bytes) == "ead36a3ab953bb6e5a6709471c0fd35fcc62cf920994cede2f3aa2544e9f47ac")
        let short = ConcatKDF.derive(Self.z, algorithm: "ECDH-ES+A128KW", partyU: [], partyV: [], count: 16)
        #expect(Hex.encode(short.bytes) == "bfb68378fb0b75579e3795e6b6a198fc")
    }

    /// Source: RFC 7518, appendix C: direct agreement has another algorithm name, but the same derivation.
    @Test func derivesTheKeyOfTheStandardsExample() {
        let z: [UInt8] = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106,
            72, 246, 218, 167, 121, 140, 254, 144, 196,
        ]
        let key = ConcatKDF.derive(
            Samples.secret(z), algorithm: "A128GCM", partyU: Array("Alice".utf8), partyV: Array("Bob".utf8), count: 16)
        #expect(Base64.encode(key.bytes, .url) == "VqqN6vgjbSBcIijNcacQGg")
    }

    /// Source: RFC 3394, 4.6.
    @Test func wrapsKeysAsTheStandardDoes() throws {
        let key = Samples.secret(hex: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        let secret = Samples.secret(hex: "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
        let wrapped = try #require(AESKeyWrap.wrap(secret, with: key))
        #expect(
            Hex.encode(wrapped) == "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21")
        #expect(AESKeyWrap.unwrap(wrapped, with: key)?.bytes == secret.bytes)
        #expect(AESKeyWrap.unwrap(wrapped.dropLast() + [0], with: key) == nil)
    }

    static let kinds: [KeyKind] = [.rsa(bits: 2048), .rsa(bits: 3072), .ec(.p256), .ec(.p384), .ec(.p521)]

    private func recipient(_ key: PrivateKey, _ algorithm: JWEAlgorithm? = nil, keyID: String? = nil) throws
        -> JWEWriter.Recipient
    {
        let fallback: JWEAlgorithm = if case .rsa = key.kind { .rsaOAEP } else { .ecdhA256KW }
        return JWEWriter.Recipient(
            key: try #require(key.publicKey), algorithm: algorithm ?? fallback, keyID: keyID, name: "test")
    }

    @Test(arguments: kinds) func opensWhatItWrote(_ kind: KeyKind) throws {
        let key = try #require(PrivateKey.generate(kind))
        let other = try #require(PrivateKey.generate(kind))
        let text = try JWEWriter.encrypt(Self.z, for: [try recipient(key)])
        let message = try JWEReader(what: "it").read(text)
        #expect(message.open(with: key)?.bytes == Self.z.bytes)
        #expect(message.open(with: other) == nil)
    }

    @Test(arguments: [JWEAlgorithm.rsaOAEP256, .ecdhA128KW, .ecdhA192KW]) func writesOtherAlgorithms(
        _ algorithm: JWEAlgorithm
    ) throws {
        let key = try #require(PrivateKey.generate(algorithm.padding == nil ? .ec(.p384) : .rsa(bits: 2048)))
        let text = try JWEWriter.encrypt(Self.z, for: [try recipient(key, algorithm, keyID: "key-one")])
        let message = try JWEReader(what: "it").read(text)
        #expect(message.recipients.first?.keyID == "key-one")
        #expect(message.open(with: key)?.bytes == Self.z.bytes)
    }

    @Test func severalRecipientsShareOneMessage() throws {
        let keys = try Self.kinds.map { try #require(PrivateKey.generate($0)) }
        let text = try JWEWriter.encrypt(Self.z, for: try keys.map { try recipient($0) })
        let message = try JWEReader(what: "it").read(text)
        #expect(
            String(decoding: text, as: UTF8.self).hasPrefix(#"{"protected":"eyJlbmMiOiJBMjU2R0NNIn0","recipients":[{"#))
        #expect(message.recipients.count == keys.count)
        for key in keys { #expect(message.open(with: key)?.bytes == Self.z.bytes) }
    }

    @Test func readsTheCompactForm() throws {
        let key = try #require(PrivateKey.generate(.ec(.p256)))
        let json = try #require(LooseJSON(try JWEWriter.encrypt(Self.z, for: [try recipient(key)])))
        let parts = ["protected", "encrypted_key", "iv", "ciphertext", "tag"].compactMap { json[$0]?.text }
        let message = try JWEReader(what: "it").read(Array((parts.joined(separator: ".") + "\n").utf8))
        #expect(message.open(with: key)?.bytes == Self.z.bytes)
    }

    /// The Go library repeats the first recipient's key at the top.
    @Test func aStrayEncryptedKeyIsNotLookedAt() throws {
        let keys = try [KeyKind.ec(.p256), .ec(.p384)].map { try #require(PrivateKey.generate($0)) }
        let text = String(
            decoding: try JWEWriter.encrypt(Self.z, for: try keys.map { try recipient($0) }), as: UTF8.self)
        let quirky = #"{"encrypted_key":"AAAA","# + text.dropFirst()
        let message = try JWEReader(what: "it").read(Array(quirky.utf8))
        #expect(message.open(with: keys[1])?.bytes == Self.z.bytes)
    }

    @Test(arguments: [
        (#"{"protected":"e30","encrypted_key":"","iv":"","ciphertext":"","tag":""}"#, "encryption.annotation"),
        (#"{"protected":"!!","encrypted_key":""}"#, "encryption.annotation"),
        ("a.b.c", "encryption.annotation"),
        ("[]", "encryption.annotation"),
        (
            #"{"unprotected":{"alg":"RSA-OAEP","enc":"A256GCM"},"header":{"alg":"RSA-OAEP"},"encrypted_key":"","iv":"","ciphertext":"","tag":""}"#,
            "encryption.annotation"
        ),
        (
            #"{"unprotected":{"alg":"RSA-OAEP","enc":"A256GCM","crit":["x"]},"encrypted_key":"","iv":"","ciphertext":"","tag":""}"#,
            "encryption.unsupported"
        ),
        (
            #"{"unprotected":{"alg":"RSA-OAEP","enc":"XC20P"},"encrypted_key":"","iv":"","ciphertext":"","tag":""}"#,
            "encryption.unsupported"
        ),
        (
            #"{"unprotected":{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},"encrypted_key":"","iv":"","ciphertext":"","tag":""}"#,
            "encryption.annotation"
        ),
    ]) func refuses(_ text: String, _ id: String) {
        #expect(failure { try JWEReader(what: "it").read(Array(text.utf8)) } == id)
    }
}
