public import KapsuleCrypto

/// What of an X.509 certificate names its owner, and the key. Nothing of it is checked: not who signed it, nor until when
/// it holds. ocicrypt does not check either.
///
/// Source: RFC 5280, 4.1.
public struct Certificate: Sendable {
    /// DER of the issuer's name, as it stands there.
    let issuer: [UInt8]
    /// DER of the serial number, as it stands there.
    let serial: [UInt8]
    public let publicKey: PublicKey
    /// The subject's common name.
    public let name: String?

    init?(der: [UInt8]) {
        guard let fields = try? Self.fields(der), let key = PublicKey(subjectPublicKeyInfo: Array(fields.key)) else {
            return nil
        }
        issuer = Array(fields.issuer)
        serial = Array(fields.serial)
        publicKey = key
        name = Self.commonName(fields.subject)
    }

    private typealias Fields = (
        issuer: ArraySlice<UInt8>, serial: ArraySlice<UInt8>, subject: ArraySlice<UInt8>, key: ArraySlice<UInt8>
    )

    private static func fields(_ der: [UInt8]) throws(DER.Malformed) -> Fields {
        var certificate = try DER.only(der).reader
        var body = try certificate.next(DER.sequence).reader
        _ = try body.optional(0xA0)  // version
        let serial = try body.next(DER.integer)
        _ = try body.next(DER.sequence)  // signature algorithm
        let issuer = try body.next(DER.sequence)
        _ = try body.next(DER.sequence)  // validity
        let subject = try body.next(DER.sequence)
        let key = try body.next(DER.sequence)
        return (issuer.whole, serial.whole, subject.content, key.whole)
    }

    private static func commonName(_ subject: ArraySlice<UInt8>) -> String? {
        var sets = DER.Reader(subject)
        while let set = try? sets.next(DER.set) {
            var attributes = set.reader
            while var attribute = try? attributes.next(DER.sequence).reader {
                guard let type = try? attribute.next(DER.objectIdentifier), let value = try? attribute.next() else {
                    break
                }
                if Array(type.content) == DER.oidContent([2, 5, 4, 3]) {
                    return String(decoding: value.content, as: UTF8.self)
                }
            }
        }
        return nil
    }
}
