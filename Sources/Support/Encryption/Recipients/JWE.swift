internal import KapsuleCore
internal import KapsuleCrypto

/// A secret, encrypted for one or several public keys.
///
/// Source: RFC 7516.
struct JWE: Sendable {
    struct Recipient: Sendable {
        /// As it stands there.
        let algorithmName: String
        let keyID: String?
        let ephemeral: PublicKey?
        let partyU: [UInt8]
        let partyV: [UInt8]
        let encryptedKey: [UInt8]

        /// Nil for a way of wrapping that is not known here.
        var algorithm: JWEAlgorithm? { JWEAlgorithm(rawValue: algorithmName) }

        /// For people.
        var summary: String {
            let curve = ephemeral.map { " \($0.kind)" } ?? ""
            let size = algorithm?.padding == nil ? "" : "-\(encryptedKey.count * 8)"
            let kind = algorithm?.padding == nil ? "\(algorithmName)\(curve)" : "RSA\(size) (\(algorithmName))"
            return Printable.text(kind.prefix(60)) + (keyID.map { " kid \(Printable.text($0.prefix(100)))" } ?? "")
        }
    }

    let recipients: [Recipient]
    let cipher: JWEContentCipher
    /// What the tag covers beside the content.
    let authenticated: [UInt8]
    let iv: [UInt8]
    let ciphertext: [UInt8]
    let tag: [UInt8]

    /// Whether the algorithm could fit the key at all.
    static func fits(_ recipient: Recipient, _ kind: KeyKind) -> Bool {
        switch kind {
        case .rsa(let bits): recipient.algorithm?.padding != nil && recipient.encryptedKey.count == (bits + 7) / 8
        case .ec: recipient.algorithm?.padding == nil && recipient.ephemeral?.kind == kind
        case .other: false
        }
    }

    /// - Returns: nil when no recipient is the owner of `key`.
    func open(with key: PrivateKey) -> SecretBytes? {
        for recipient in recipients where Self.fits(recipient, key.kind) {
            guard let contentKey = Self.unwrap(recipient, with: key), let plain = open(contentKey: contentKey) else {
                continue
            }
            return plain
        }
        return nil
    }

    /// - Returns: nil when it is not the content key.
    func open(contentKey: SecretBytes) -> SecretBytes? { cipher.open(self, key: contentKey) }

    private static func unwrap(_ recipient: Recipient, with key: PrivateKey) -> SecretBytes? {
        guard let algorithm = recipient.algorithm else { return nil }
        if let padding = algorithm.padding { return key.decrypt(recipient.encryptedKey, padding) }
        guard let ephemeral = recipient.ephemeral, let shared = key.agree(with: ephemeral) else { return nil }
        let wrapping = ConcatKDF.derive(
            shared, algorithm: recipient.algorithmName, partyU: recipient.partyU, partyV: recipient.partyV,
            count: algorithm.wrappingKeySize)
        return AESKeyWrap.unwrap(recipient.encryptedKey, with: wrapping)
    }
}
