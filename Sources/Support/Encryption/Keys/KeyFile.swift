internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// What a key file turned out to hold.
enum KeyFile {
    case publicKey(PublicKey, algorithm: String?, keyID: String?)
    case privateKey(PrivateKey)
    case certificate(Certificate)

    /// Longest key file that is read, in bytes.
    private static let longest: Int64 = 1 << 20

    /// - Parameter name: names it in errors.
    static func read(_ path: String, passphrase: SecretBytes?, named name: String) throws -> KeyFile {
        let source = try doing("reading the key \(name)") { try FileSource(path: path) }
        var bytes = try source.readAll(limit: longest, what: "the key \(name)")
        defer { SecretBytes.wipe(&bytes) }
        return try parse(bytes, passphrase: passphrase, named: name)
    }

    static func parse(_ bytes: [UInt8], passphrase: SecretBytes?, named name: String) throws -> KeyFile {
        if bytes.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") { return try jwk(bytes, name) }
        if bytes.contains("-----BEGIN ") {
            return try PEMReader(passphrase: passphrase, name: name).read(bytes)
        }
        return try der(bytes, passphrase, name)
    }

    private static func jwk(_ bytes: [UInt8], _ name: String) throws -> KeyFile {
        guard let json = LooseJSON(bytes) else { throw KeyFailure.notAKey(name, "it is no JSON").error }
        guard let key = JSONWebKey(json) else {
            throw KeyFailure.unsupported(
                name, "a JSON Web Key of the type '\(Printable.text((json["kty"]?.text ?? "none").prefix(40)))'"
            ).error
        }
        switch key.content {
        case .publicKey(let publicKey):
            return .publicKey(try usable(publicKey, name), algorithm: key.algorithm, keyID: key.keyID)
        case .privateKey(let privateKey): return .privateKey(try usable(privateKey, name))
        }
    }

    private static func der(_ bytes: [UInt8], _ passphrase: SecretBytes?, _ name: String) throws -> KeyFile {
        if let certificate = Certificate(der: bytes) { return .certificate(certificate) }
        if let key = PublicKey(subjectPublicKeyInfo: bytes) {
            return .publicKey(try usable(key, name), algorithm: nil, keyID: nil)
        }
        let secret = SecretBytes(copying: bytes.span)
        if let key = PrivateKey(der: secret) { return .privateKey(try usable(key, name)) }
        if isEncryptedPKCS8(bytes) { return .privateKey(try encrypted(secret, passphrase, name)) }
        if isPKCS1PublicKey(bytes), let key = RSAKey.publicKey(pkcs1: bytes) {
            return .publicKey(try usable(key, name), algorithm: nil, keyID: nil)
        }
        throw KeyFailure.notAKey(name, "it is neither PEM, DER nor a JSON Web Key").error
    }

    static func encrypted(_ der: SecretBytes, _ passphrase: SecretBytes?, _ name: String) throws -> PrivateKey {
        guard let passphrase else { throw KeyFailure.passphraseMissing(name).error }
        guard let key = PrivateKey(encryptedPKCS8: der, passphrase: passphrase) else {
            throw KeyFailure.passphraseWrong(name).error
        }
        return try usable(key, name)
    }

    /// SEQUENCE { SEQUENCE { OBJECT IDENTIFIER … } OCTET STRING }
    private static func isEncryptedPKCS8(_ bytes: [UInt8]) -> Bool {
        guard var body = try? DER.only(bytes).reader, var scheme = try? body.next(DER.sequence).reader else {
            return false
        }
        return scheme.nextTag == DER.objectIdentifier && (try? scheme.next()) != nil
            && (try? body.next(DER.octetString)) != nil && body.isAtEnd
    }

    /// SEQUENCE { INTEGER INTEGER }
    private static func isPKCS1PublicKey(_ bytes: [UInt8]) -> Bool {
        guard var body = try? DER.only(bytes).reader else { return false }
        return (try? body.next(DER.integer)) != nil && (try? body.next(DER.integer)) != nil && body.isAtEnd
    }

    static func usable(_ key: PublicKey, _ name: String) throws -> PublicKey {
        try check(key.kind, name)
        return key
    }

    static func usable(_ key: PrivateKey, _ name: String) throws -> PrivateKey {
        try check(key.kind, name)
        return key
    }

    private static func check(_ kind: KeyKind, _ name: String) throws {
        switch kind {
        case .ec: return
        case .rsa(let bits):
            guard bits >= 2048 else { throw KeyFailure.tooShort(name, bits).error }
            guard bits <= 16384 else { throw KeyFailure.unsupported(name, "an RSA key of \(bits) bits").error }
        case .other(let type): throw KeyFailure.unsupported(name, "a key of the type \(type)").error
        }
    }
}

extension [UInt8] {
    fileprivate func contains(_ text: String) -> Bool { firstRange(of: Array(text.utf8)) != nil }
}
