internal import KapsuleCore
internal import KapsuleCrypto

/// Writes a JWE as ocicrypt does: flattened for one recipient, general for several.
///
/// Source: RFC 7516, 7.2; ocicrypt, `keywrap/jwe`.
enum JWEWriter {
    /// A public key that can be written for.
    struct Recipient: Sendable {
        let key: PublicKey
        let algorithm: JWEAlgorithm
        let keyID: String?
        /// As the person running kapsule wrote it.
        let name: String
    }

    static func encrypt(_ plain: SecretBytes, for recipients: [Recipient]) throws -> [UInt8] {
        let cipher = JWEContentCipher.a256GCM
        let contentKey = SecretBytes.random(count: cipher.keySize)
        let wrapped = try recipients.map { try wrap(contentKey, for: $0) }
        let isSingle = wrapped.count == 1
        let enc = JSON.Member("enc", .string(cipher.rawValue))
        // ocicrypt's order: alg, enc, then the rest.
        let header = isSingle ? [wrapped[0].header[0], enc] + wrapped[0].header.dropFirst() : [enc]
        let protected = encoded(Array(JSON.object(header).compact.utf8))
        let nonce = Randomness.bytes(12)
        let (ciphertext, tag) = plain.withSpan {
            AESGCM.seal($0, key: contentKey, nonce: nonce, authenticating: Array(protected.utf8))
        }
        let each = wrapped.map { item in
            JSON.members(["header": .object(item.header), "encrypted_key": .string(encoded(item.encryptedKey))])
        }
        let document = JSON.members([
            "protected": .string(protected), "recipients": isSingle ? nil : .array(each),
            "encrypted_key": isSingle ? .string(encoded(wrapped[0].encryptedKey)) : nil,
            "iv": .string(encoded(nonce)), "ciphertext": .string(encoded(ciphertext)), "tag": .string(encoded(tag)),
        ])
        return Array(document.compact.utf8)
    }

    private static func encoded(_ bytes: [UInt8]) -> String { Base64.encode(bytes, .url) }

    private static func wrap(
        _ contentKey: SecretBytes, for recipient: Recipient
    ) throws -> (header: [JSON.Member], encryptedKey: [UInt8]) {
        let result =
            if let padding = recipient.algorithm.padding {
                recipient.key.encrypt(contentKey, padding).map { ([JSON.Member](), $0) }
            } else {
                agree(contentKey, recipient)
            }
        guard let (more, encryptedKey) = result else {
            throw KapsuleError(
                .usage, id: "key.unsupported",
                "the key \(recipient.name) (\(recipient.key.kind)) cannot be used with \(recipient.algorithm.rawValue)",
                remedy: "use RSA of 2048 bits or more, or EC on P-256, P-384 or P-521")
        }
        let keyID = recipient.keyID.map { [JSON.Member("kid", .string($0))] } ?? []
        return ([JSON.Member("alg", .string(recipient.algorithm.rawValue))] + keyID + more, encryptedKey)
    }

    private static func agree(_ contentKey: SecretBytes, _ recipient: Recipient) -> ([JSON.Member], [UInt8])? {
        let kind = recipient.key.kind
        guard case .ec(let curve) = kind, let ephemeral = PrivateKey.generate(kind),
            let point = ephemeral.publicKey?.coordinates, let shared = ephemeral.agree(with: recipient.key)
        else { return nil }
        let wrapping = ConcatKDF.derive(
            shared, algorithm: recipient.algorithm.rawValue, partyU: [], partyV: [],
            count: recipient.algorithm.wrappingKeySize)
        guard let encryptedKey = AESKeyWrap.wrap(contentKey, with: wrapping) else { return nil }
        let json = JSON.members([
            "kty": "EC", "crv": .string(curve.rawValue), "x": .string(encoded(point.x)), "y": .string(encoded(point.y)),
        ])
        return ([JSON.Member("epk", json)], encryptedKey)
    }
}
