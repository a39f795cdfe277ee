import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@testable import Encryption

@Suite struct LayerCipherTests {
    static let key = (0..<32).map { UInt8($0) }

    static let vectors: [(nonce: String, plain: [UInt8], cipher: String, code: String)] = [
        (
            "000102030405060708090a0b0c0d0e0f", Samples.plaintext,
            "310f74247d9714b69c4f2c5870e3c4eb149663dfa8e4282e207a9e711e8459aa6e4515224ea0bfaed0807bd6907da2b2faaa7e175ab0c5961d252e1a",
            "ea4d5cb6ff7393dbfbea29c356f082695731a64286c99064c452db3e9bd46cbe"
        ),
        (
            "000102030405060708090a0bfffffffe", [UInt8](repeating: 0, count: 64),
            "8b64b32ff7b39052bba97a548cd54f649d52ea871d37e206b64e902d1d857e44daa648ffc7cfc3a6d9f65499ff0b17818d72da2ac9d194201498fdb04c4cc401",
            "11909dd9c16c4362f15114e5848545566cd87be6a22d07f0ebc0e9abc263d009"
        ),
        (
            "fffffffffffffffffffffffffffffffe", [UInt8](repeating: 0, count: 64),
            "63e5b402b51e48ddfaedf9de99cc2744e999e41d4ca770da5387117b5d8f57eef29000b62a499fd0a9f39a6add2e7780f05d76ae4ab99fe5a6f69b3148c2363d",
            "8a7ac5652707af972552ec878466db6cf318cfc0634d837d726344a11906d923"
        ),
        (
            "000102030405060708090a0b0c0d0e0f", [], "",
            "d38b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb"
        ),
    ]

    private func layerKey(_ nonce: String) -> LayerKey {
        LayerKey(key: Samples.secret(Self.key), nonce: Samples.secret(hex: nonce))
    }

    /// The second and third carry beyond 32 and 128 bits; skopeo decrypts layers with these very nonces.
    @Test(arguments: vectors.indices) func encryptsAsPinned(_ index: Int) throws {
        let vector = Self.vectors[index]
        var encryptor = LayerEncryptor(MemorySink(), key: layerKey(vector.nonce))
        try encryptor.write(vector.plain.span)
        let sealed = encryptor.finish()
        #expect(encryptor.next.bytes == Samples.bytes(hex: vector.cipher))
        #expect(sealed.options.code == Samples.bytes(hex: vector.code))
        #expect(sealed.artifact == Artifact(digest: Digest.of(encryptor.next.bytes), size: Int64(vector.plain.count)))
    }

    /// CTR is seekable: from any byte on, across the carry.
    @Test(arguments: 0...40) func decryptsFromAnyOffset(_ offset: Int) {
        let vector = Self.vectors[2]
        let cipher = Samples.bytes(hex: vector.cipher)
        var stream = layerKey(vector.nonce).cipher(at: Int64(offset))
        var output = [UInt8](repeating: 1, count: cipher.count - offset)
        var span = output.mutableSpan
        stream.apply(cipher.span.extracting(droppingFirst: offset), into: &span)
        #expect(output == Array(vector.plain.dropFirst(offset)))
    }

    @Test(arguments: [1, 7, 63, 64, 65, 4096, CipherBlock.size - 1, CipherBlock.size + 1, 300_000])
    func givesTheSameForEveryChunking(_ chunk: Int) throws {
        var random = SeededGenerator(seed: UInt64(chunk))
        let plain = random.bytes(chunk < 64 ? 10_000 : 700_001)
        let key = LayerKey.fresh()
        var whole = LayerEncryptor(MemorySink(), key: key)
        try whole.write(plain.span)
        var parts = LayerEncryptor(MemorySink(), key: key)
        for start in stride(from: 0, to: plain.count, by: chunk) {
            try parts.write(plain.span.extracting(start..<min(start + chunk, plain.count)))
        }
        let (first, second) = (whole.finish(), parts.finish())
        #expect(whole.next.bytes == parts.next.bytes)
        #expect(first.artifact == second.artifact && first.options == second.options)
    }

    @Test func decryptsWhatSkopeoEncrypted() throws {
        let layer = try Samples.Layer.load()
        let plain = try Samples.decrypt(
            layer.ciphertext, layer.annotations, layer.artifact, with: try Samples.vectorKeyring())
        #expect(plain == Samples.plaintext)
        let options = try Samples.vectorKeyring().unlock(layer.annotations, what: "the layer").options
        #expect(options.digest == Digest.of(Samples.plaintext).description)
        let json = #"""
            {"symkey":"XFCDpFY5mFlPaXi7y7jQtQ8chb3lwYLS57a9YDBonSU=","digest":"sha256:7826b119721958af980661b8a02b260fd53d2e6b590ece7617678d8360f605de","cipheroptions":{"nonce":"fLTg2v++p9QC/ie/KNLNeA=="}}
            """#
        #expect(options.json.bytes == Array(json.utf8))
    }

    @Test func noByteOfALayerCanBeChanged() throws {
        let layer = try Samples.Layer.load()
        let keyring = try Samples.vectorKeyring()
        for index in layer.ciphertext.indices {
            var changed = layer.ciphertext
            changed[index] ^= 1
            // The registry is believed here to have changed the manifest's digest as well: the HMAC has to notice.
            let artifact = Artifact(digest: Digest.of(changed), size: layer.size)
            #expect(
                failure { try Samples.decrypt(changed, layer.annotations, artifact, with: keyring) }
                    == "encryption.hmac")
            #expect(
                failure { try Samples.decrypt(changed, layer.annotations, layer.artifact, with: keyring) }
                    == "content.mismatch")
        }
        #expect(
            failure {
                try Samples.decrypt(layer.ciphertext.dropLast(), layer.annotations, layer.artifact, with: keyring)
            } == "content.mismatch")
        #expect(
            failure {
                try Samples.decrypt(layer.ciphertext + [0], layer.annotations, layer.artifact, with: keyring)
            } == "content.too-long")
    }

    /// No character of an annotation can be changed: nothing is decrypted, or what comes out is refused.
    @Test func noCharacterOfAnAnnotationCanBeChanged() throws {
        let layer = try Samples.Layer.load()
        let keyring = try Samples.vectorKeyring()
        for (name, value) in layer.annotations {
            for index in value.indices {
                var annotations = layer.annotations
                let other: Character = value[index] == "A" ? "B" : "A"
                annotations[name] = value.replacingCharacters(in: index...index, with: String(other))
                let id = failure {
                    try Samples.decrypt(layer.ciphertext, annotations, layer.artifact, with: keyring)
                }
                // A change of a member's name or of what nobody reads may leave all that counts as it was.
                if id == nil { #expect(name.hasSuffix("pubopts")) }
            }
        }
    }

    @Test func saysWhatIsMissing() throws {
        let layer = try Samples.Layer.load()
        let keyring = try Samples.vectorKeyring()
        func id(_ change: (inout [String: String]) -> Void) -> String? {
            var annotations = layer.annotations
            change(&annotations)
            return failure { try Samples.decrypt(layer.ciphertext, annotations, layer.artifact, with: keyring) }
        }
        func options(_ json: String) -> String? {
            id { $0[LayerAnnotations.publicOptions] = Base64.encode(Array(json.utf8)) }
        }
        #expect(id { $0[LayerAnnotations.publicOptions] = nil } == "encryption.annotation")
        #expect(id { $0["\(LayerAnnotations.keys)jwe"] = nil } == "encryption.annotation")
        #expect(id { $0["\(LayerAnnotations.keys)jwe"] = "" } == "encryption.annotation")
        #expect(options("{}") == "encryption.unsupported")
        #expect(options(#"{"cipher":"AES_256_GCM","hmac":"AAAA"}"#) == "encryption.unsupported")
        #expect(options(#"{"cipher":"AES_256_CTR_HMAC_SHA256"}"#) == "encryption.hmac-missing")
        #expect(options(#"{"cipher":"AES_256_CTR_HMAC_SHA256","hmac":""}"#) == "encryption.hmac-missing")
        #expect(options(#"{"cipher":"AES_256_CTR_HMAC_SHA256","hmac":"AAAA"}"#) == "encryption.annotation")
        #expect(options("not JSON") == "encryption.annotation")
        #expect(
            failure { try Keyring().unlock(layer.annotations, what: "the layer") } == "encryption.no-key")
    }
}

/// The id of the error that `body` throws; nil when it throws none.
func failure(_ body: () throws -> some Any) -> String? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? KapsuleError)?.id ?? "\(error)"
    }
}
