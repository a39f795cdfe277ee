internal import KapsuleCore
internal import KapsuleCrypto

/// What everybody may know of an encrypted layer: the cipher, and the code that shows a change.
///
/// Source: ocicrypt, `PublicLayerBlockCipherOptions`.
public struct PublicOptions: Sendable, Hashable {
    static let cipher = "AES_256_CTR_HMAC_SHA256"
    static let codeSize = 32

    /// HMAC-SHA-256 of the ciphertext.
    let code: [UInt8]
    /// Where others put the nonce sometimes.
    let nonce: [UInt8]?

    init(code: [UInt8]) {
        self.code = code
        nonce = nil
    }

    /// - Parameter what: names the layer in errors.
    init(json: [UInt8], what: String) throws {
        guard let document = LooseJSON(json), document.members != nil else {
            throw EncryptionFailure.annotation(what, "its public options are no JSON object").error
        }
        guard let name = document["cipher"]?.text, !name.isEmpty else {
            throw EncryptionFailure.unsupported(what, "names no cipher").error
        }
        guard name == Self.cipher else {
            throw EncryptionFailure.unsupported(what, "is encrypted with '\(Printable.text(name.prefix(60)))'").error
        }
        guard let text = document["hmac"]?.text, !text.isEmpty else {
            throw EncryptionFailure.codeMissing(what).error
        }
        guard let code = Base64.decode(text), code.count == Self.codeSize else {
            throw EncryptionFailure.annotation(what, "its HMAC is not \(Self.codeSize) bytes in Base64").error
        }
        self.code = code
        nonce = try document["cipheroptions"]?["nonce"]?.text.map { text in
            guard let nonce = Base64.decode(text), nonce.count == LayerKey.nonceSize else {
                throw EncryptionFailure.annotation(what, "its nonce is not \(LayerKey.nonceSize) bytes in Base64").error
            }
            return nonce
        }
    }

    /// In the order in which ocicrypt writes it.
    var json: [UInt8] {
        Array(#"{"cipher":"\#(Self.cipher)","hmac":"\#(Base64.encode(code))","cipheroptions":{}}"#.utf8)
    }
}

/// What is wrapped for every recipient.
///
/// Source: ocicrypt, `PrivateLayerBlockCipherOptions`.
public struct PrivateOptions: Sendable {
    let key: LayerKey
    /// Of the bytes that were encrypted; empty where unknown. Never trusted: others write other digests here.
    let digest: String

    init(key: LayerKey, digest: Digest?) {
        self.key = key
        self.digest = digest?.description ?? ""
    }

    /// - Parameter fallback: a nonce from the public options.
    init(json: SecretBytes, fallback: [UInt8]?, what: String) throws {
        func malformed(_ why: String) -> KapsuleError {
            EncryptionFailure.annotation(what, "what was wrapped for its recipients \(why)").error
        }
        guard let document = LooseJSON(json.bytes), document.members != nil else {
            throw malformed("is no JSON object")
        }
        guard var key = document["symkey"]?.text.flatMap({ Base64.decode($0) }), key.count == LayerKey.keySize else {
            throw malformed("has no key of \(LayerKey.keySize) bytes")
        }
        let text = document["cipheroptions"]?["nonce"]?.text
        guard var nonce = fallback ?? text.flatMap({ Base64.decode($0) }), nonce.count == LayerKey.nonceSize else {
            throw malformed("has no nonce of \(LayerKey.nonceSize) bytes")
        }
        self.key = LayerKey(key: SecretBytes(taking: &key), nonce: SecretBytes(taking: &nonce))
        digest = document["digest"]?.text ?? ""
    }

    /// In the order in which ocicrypt writes it.
    var json: SecretBytes {
        var symmetric = key.key.bytes
        var nonce = key.nonce.bytes
        var text: [UInt8] = []
        // Never moved to a larger place, which would leave a copy behind.
        text.reserveCapacity(512)
        text += Array(#"{"symkey":""#.utf8)
        var encoded = Base64.encodeBytes(symmetric)
        text += encoded
        SecretBytes.wipe(&encoded)
        text += Array(#"","digest":"\#(digest)","cipheroptions":{"nonce":""#.utf8)
        text += Base64.encodeBytes(nonce)
        text += Array(#""}}"#.utf8)
        SecretBytes.wipe(&symmetric)
        SecretBytes.wipe(&nonce)
        return SecretBytes(taking: &text)
    }
}
