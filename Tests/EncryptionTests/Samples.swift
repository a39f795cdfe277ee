import Foundation
import KapsuleCore
import KapsuleCrypto
import Testing

@testable import Encryption

enum Samples {
    static let plaintext = Array(String(repeating: "kapsule layer bytes\n", count: 3).utf8)

    static func bytes(hex: String) -> [UInt8] {
        let digits = hex.map { UInt8($0.hexDigitValue ?? 0) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    static func secret(_ bytes: [UInt8]) -> SecretBytes { SecretBytes(copying: bytes.span) }
    static func secret(hex: String) -> SecretBytes { secret(bytes(hex: hex)) }

    static func fixture(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("test_fixtures/keys/\(name)").path
    }

    /// A layer that skopeo encrypted.
    struct Layer: Decodable {
        let mediaType: String
        let size: Int64
        let digest: String
        let annotations: [String: String]
        let blob: String

        static func load() throws -> Layer {
            try JSONDecoder().decode(
                Layer.self, from: Data(contentsOf: URL(fileURLWithPath: Samples.fixture("vector-layer.json"))))
        }

        var ciphertext: [UInt8] { Samples.bytes(hex: blob) }
        var artifact: Artifact { Artifact(digest: Digest(parsing: digest) ?? Digest.of([]), size: size) }
    }

    static func vectorKeyring() throws -> Keyring {
        var keyring = Keyring()
        try keyring.add(fixture("vector-p256.pem"), environment: [:])
        return keyring
    }

    /// Everything that comes out, if it is good.
    static func decrypt(
        _ ciphertext: [UInt8], _ annotations: [String: String], _ artifact: Artifact, with keyring: Keyring
    ) throws -> [UInt8] {
        let layer = try keyring.unlock(annotations, what: "the layer")
        var decryptor = LayerDecryptor(MemorySink(), layer, expecting: artifact, what: "the layer")
        try decryptor.write(ciphertext.span)
        try decryptor.finish()
        return decryptor.next.bytes
    }

    struct Encrypted {
        let ciphertext: [UInt8]
        let annotations: [String: String]
        let artifact: Artifact
    }

    static func encrypt(_ plain: [UInt8], for recipients: [Recipient]) throws -> Encrypted {
        var encryptor = LayerEncryptor(MemorySink())
        try encryptor.write(plain.span)
        let sealed = encryptor.finish()
        let set = try #require(RecipientSet(recipients))
        return Encrypted(
            ciphertext: encryptor.next.bytes,
            annotations: try sealed.annotations(for: set, plain: Digest.of(plain)), artifact: sealed.artifact)
    }
}
