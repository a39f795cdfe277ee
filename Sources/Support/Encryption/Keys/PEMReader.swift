internal import KapsuleCore
internal import KapsuleCrypto

/// The key in a PEM file: the first block that is one.
struct PEMReader {
    let passphrase: SecretBytes?
    let name: String

    func read(_ text: [UInt8]) throws -> KeyFile {
        guard let blocks = PEMBlock.all(in: text) else { throw KeyFailure.notAKey(name, "its PEM is damaged").error }
        for block in blocks {
            if let key = try key(in: block) { return key }
        }
        let labels = blocks.map { Printable.text($0.label.prefix(40)) }.joined(separator: ", ")
        throw KeyFailure.unsupported(name, "PEM of the kind \(labels)").error
    }

    private func key(in block: PEMBlock) throws -> KeyFile? {
        switch block.label {
        case "PUBLIC KEY":
            guard let key = PublicKey(subjectPublicKeyInfo: block.body.bytes) else { throw damaged(block) }
            return .publicKey(try KeyFile.usable(key, name), algorithm: nil, keyID: nil)
        case "RSA PUBLIC KEY":
            guard let key = RSAKey.publicKey(pkcs1: block.body.bytes) else { throw damaged(block) }
            return .publicKey(try KeyFile.usable(key, name), algorithm: nil, keyID: nil)
        case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
            guard let certificate = Certificate(der: block.body.bytes) else { throw damaged(block) }
            return .certificate(certificate)
        case "ENCRYPTED PRIVATE KEY": return .privateKey(try KeyFile.encrypted(block.body, passphrase, name))
        case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY": return .privateKey(try privateKey(block))
        // EC PARAMETERS come before the key in what `openssl ecparam -genkey` writes.
        default: return nil
        }
    }

    private func privateKey(_ block: PEMBlock) throws -> PrivateKey {
        guard block.isLegacyEncrypted else {
            guard let key = PrivateKey(der: block.body) else { throw damaged(block) }
            return try KeyFile.usable(key, name)
        }
        guard let passphrase else { throw KeyFailure.passphraseMissing(name).error }
        let info = (block.headers["DEK-Info"] ?? "").split(separator: ",", maxSplits: 1).map(String.init)
        guard info.count == 2, let iv = Self.hex(info[1]) else { throw damaged(block) }
        guard ["AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC"].contains(info[0].uppercased()) else {
            throw KeyFailure.unsupported(name, "a key encrypted with \(Printable.text(info[0].prefix(40)))").error
        }
        guard
            let der = LegacyPEM.decrypt(block.body.bytes, cipher: info[0], iv: iv, passphrase: passphrase),
            let key = PrivateKey(der: der)
        else { throw KeyFailure.passphraseWrong(name).error }
        return try KeyFile.usable(key, name)
    }

    private static func hex(_ text: String) -> [UInt8]? {
        let digits = text.filter { !$0.isWhitespace }.map(\.hexDigitValue)
        guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8((digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0)) }
    }

    private func damaged(_ block: PEMBlock) -> KapsuleError {
        KeyFailure.notAKey(name, "its block \(block.label) is damaged").error
    }
}
