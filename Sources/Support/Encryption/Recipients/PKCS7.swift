internal import KapsuleCore
internal import KapsuleCrypto

/// A secret, encrypted for the owners of certificates: PKCS#7 as one Go library writes it, and as OpenSSL cannot read it.
///
/// ```
/// SEQUENCE { envelopedData, [0] { SEQUENCE {
///   INTEGER 0
///   SET { SEQUENCE { INTEGER 0, SEQUENCE { issuer, serial }, SEQUENCE { rsaEncryption }, OCTET STRING } … }
///   SEQUENCE { data, SEQUENCE { aes128-GCM, 10 { SEQUENCE { [4] nonce, INTEGER 16 } } }, [0] ciphertext || tag } } } }
/// ```
///
/// Source: RFC 2315, 10; `go.mozilla.org/pkcs7`, encrypt.go, for where it differs.
enum PKCS7 {
    static let envelopedData: [UInt32] = [1, 2, 840, 113549, 1, 7, 3]
    static let data: [UInt32] = [1, 2, 840, 113549, 1, 7, 1]
    static let rsaEncryption: [UInt32] = [1, 2, 840, 113549, 1, 1, 1]
    static let rsaOAEP: [UInt32] = [1, 2, 840, 113549, 1, 1, 7]
    static let aes128GCM: [UInt32] = [2, 16, 840, 1, 101, 3, 4, 1, 6]
    static let aes256GCM: [UInt32] = [2, 16, 840, 1, 101, 3, 4, 1, 46]
    static let aes128CBC: [UInt32] = [2, 16, 840, 1, 101, 3, 4, 1, 2]
    static let aes256CBC: [UInt32] = [2, 16, 840, 1, 101, 3, 4, 1, 42]
    /// A sequence whose tag lacks the bit for "constructed".
    static let primitiveSequence: UInt8 = 0x10

    static func encrypt(_ plain: SecretBytes, for certificates: [Certificate]) throws -> [UInt8] {
        let contentKey = SecretBytes.random(count: 16)
        let nonce = Randomness.bytes(12)
        let (ciphertext, tag) = plain.withSpan { AESGCM.seal($0, key: contentKey, nonce: nonce) }
        let recipients = try certificates.map { try recipient($0, contentKey) }
        let parameters = DER.element(
            primitiveSequence, DER.sequence(DER.element(0x84, nonce), DER.integer(UInt8(AESGCM.tagSize))))
        let content = DER.sequence(
            DER.objectIdentifier(data), DER.sequence(DER.objectIdentifier(aes128GCM), parameters),
            DER.element(0x80, ciphertext, tag))
        let envelope = DER.sequence(DER.integer(0), DER.element(DER.set, Array(recipients.joined())), content)
        return DER.sequence(DER.objectIdentifier(envelopedData), DER.element(0xA0, envelope))
    }

    private static func recipient(_ certificate: Certificate, _ contentKey: SecretBytes) throws -> [UInt8] {
        guard let wrapped = certificate.publicKey.encrypt(contentKey, .pkcs1) else {
            throw KapsuleError(
                .usage, id: "key.unsupported",
                "the certificate \(certificate.name ?? "") has a key that PKCS#7 cannot encrypt for "
                    + "(\(certificate.publicKey.kind))",
                remedy: "use a certificate with an RSA key, or give the key as jwe:")
        }
        return DER.sequence(
            DER.integer(0), DER.sequence(certificate.issuer, certificate.serial),
            DER.sequence(DER.objectIdentifier(rsaEncryption)), DER.element(DER.octetString, wrapped))
    }
}
