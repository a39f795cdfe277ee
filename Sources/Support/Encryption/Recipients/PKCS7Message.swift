internal import KapsuleCore
internal import KapsuleCrypto

/// A PKCS#7 message that was read.
struct PKCS7Message {
    struct Recipient {
        /// DER of the issuer's name and of the serial number.
        let issuer: [UInt8]
        let serial: [UInt8]
        let padding: RSAPadding?
        let encryptedKey: [UInt8]

        /// For people.
        var summary: String {
            let number = (try? DER.only(serial, DER.integer).content).map { Hex.encode(Array($0)) } ?? "?"
            return "RSA-\(encryptedKey.count * 8) certificate with the serial number \(number.prefix(40))"
        }
    }

    private enum Cipher { case gcm(keySize: Int, nonce: [UInt8]), cbc(keySize: Int, iv: [UInt8]) }

    let recipients: [Recipient]
    private let cipher: Cipher
    private let content: [UInt8]

    /// - Parameter what: names the layer in errors.
    init(_ bytes: [UInt8], what: String) throws {
        do {
            var outer = try DER.only(bytes).reader
            guard try Self.identifier(&outer) == DER.oidContent(PKCS7.envelopedData) else { throw DER.Malformed() }
            var wrapper = try outer.next(0xA0).reader
            var body = try wrapper.next(DER.sequence).reader
            _ = try body.next(DER.integer)
            recipients = try Self.recipients(try body.next(DER.set))
            var info = try body.next(DER.sequence).reader
            _ = try info.next(DER.objectIdentifier)
            guard let cipher = try Self.cipher(try info.next(DER.sequence)) else {
                throw EncryptionFailure.unsupported(what, "has a PKCS#7 message with another cipher than AES").error
            }
            self.cipher = cipher
            content = try Self.content(try info.next())
        } catch is DER.Malformed {
            throw EncryptionFailure.annotation(what, "its PKCS#7 message cannot be read").error
        }
    }

    private static func identifier(_ reader: inout DER.Reader) throws(DER.Malformed) -> [UInt8] {
        Array(try reader.next(DER.objectIdentifier).content)
    }

    private static func recipients(_ set: DER.Element) throws(DER.Malformed) -> [Recipient] {
        var reader = set.reader
        var all: [Recipient] = []
        while !reader.isAtEnd {
            var body = try reader.next(DER.sequence).reader
            _ = try body.next(DER.integer)
            var owner = try body.next(DER.sequence).reader
            let (issuer, serial) = (try owner.next(DER.sequence), try owner.next(DER.integer))
            var algorithm = try body.next(DER.sequence).reader
            let name = try identifier(&algorithm)
            let padding: RSAPadding? =
                if name == DER.oidContent(PKCS7.rsaEncryption) {
                    .pkcs1
                } else if name == DER.oidContent(PKCS7.rsaOAEP) {
                    // With parameters it is SHA-256, the only other hash that anybody writes. RFC 4055, 4.1.
                    algorithm.rest.count > 2 ? .oaepSHA256 : .oaepSHA1
                } else {
                    nil
                }
            all.append(
                Recipient(
                    issuer: Array(issuer.whole), serial: Array(serial.whole), padding: padding,
                    encryptedKey: Array(try body.next(DER.octetString).content)))
        }
        return all
    }

    /// Nil for one that is not known here.
    private static func cipher(_ algorithm: DER.Element) throws(DER.Malformed) -> Cipher? {
        var reader = algorithm.reader
        let name = try identifier(&reader)
        let parameters = try reader.next()
        let sizes = [
            (PKCS7.aes128GCM, 16, true), (PKCS7.aes256GCM, 32, true), (PKCS7.aes128CBC, 16, false),
            (PKCS7.aes256CBC, 32, false),
        ]
        guard let (_, size, isGCM) = sizes.first(where: { DER.oidContent($0.0) == name }) else { return nil }
        guard isGCM else {
            guard parameters.tag == DER.octetString else { throw DER.Malformed() }
            return .cbc(keySize: size, iv: Array(parameters.content))
        }
        var inner = parameters.reader
        // The doubled sequence, and the plain one of RFC 5084.
        if parameters.tag == PKCS7.primitiveSequence { inner = try inner.next(DER.sequence).reader }
        let nonce = try inner.next()
        guard nonce.tag == 0x84 || nonce.tag == DER.octetString else { throw DER.Malformed() }
        return .gcm(keySize: size, nonce: Array(nonce.content))
    }

    /// Primitive, or constructed of octet strings.
    private static func content(_ element: DER.Element) throws(DER.Malformed) -> [UInt8] {
        if element.tag == 0x80 { return Array(element.content) }
        guard element.tag == 0xA0 else { throw DER.Malformed() }
        var reader = element.reader
        var bytes: [UInt8] = []
        while !reader.isAtEnd { bytes += try reader.next(DER.octetString).content }
        return bytes
    }

    /// - Returns: nil when it is for nobody with this key. One answer for every failure: which it was would help to
    ///   guess at the padding.
    func open(with key: PrivateKey) -> SecretBytes? {
        for recipient in recipients {
            guard let padding = recipient.padding, let contentKey = key.decrypt(recipient.encryptedKey, padding),
                let plain = open(contentKey)
            else { continue }
            return plain
        }
        return nil
    }

    private func open(_ key: SecretBytes) -> SecretBytes? {
        switch cipher {
        case .gcm(let size, let nonce):
            guard key.count == size, content.count >= AESGCM.tagSize else { return nil }
            let text = content.dropLast(AESGCM.tagSize)
            return AESGCM.open(
                Array(text).span, tag: Array(content.suffix(AESGCM.tagSize)), key: key, nonce: nonce)
        case .cbc(let size, let iv):
            guard key.count == size else { return nil }
            return AESCBC.open(content.span, key: key, iv: iv)
        }
    }
}
