internal import KapsuleCore
public import KapsuleCrypto
internal import KapsuleIO

/// A new pair of keys, in two files: the private one for its owner alone.
public struct KeyPair: Sendable {
    private let key: PrivateKey

    public init(_ kind: KeyKind) throws {
        guard let key = PrivateKey.generate(kind) else {
            throw KapsuleError(.defect, id: "keygen.failed", "libcrypto made no key of the kind \(kind)")
        }
        self.key = key
    }

    /// - Parameter passphraseFile: holds what the private key is protected with; nil for nothing.
    /// - Throws: `.conflict` when one of the files is there: a key that is overwritten is lost, with all it opens.
    public func write(privateKey: String, publicKey: String, passphraseFile: String?) throws {
        for path in [privateKey, publicKey] where try FileStatus.of(path, followsLinks: false) != nil {
            throw KapsuleError(
                .conflict, id: "output.exists", "\(path) exists already, and keys are never overwritten",
                remedy: "choose another name with --output, or move it away")
        }
        var text = try privateText(try passphraseFile.map { try KeyArgument.Passphrase.file($0).read() })
        defer { SecretBytes.wipe(&text) }
        try AtomicFile.write(text, to: privateKey, mode: 0o600, existing: .refuse)
        guard let half = key.publicKey else {
            throw KapsuleError(.defect, id: "keygen.failed", "libcrypto has no public half of a key that it made")
        }
        try AtomicFile.write(
            PEMBlock.encode("PUBLIC KEY", half.subjectPublicKeyInfo), to: publicKey, mode: 0o644, existing: .refuse)
    }

    private func privateText(_ passphrase: SecretBytes?) throws -> [UInt8] {
        if let passphrase, passphrase.count > 0, let der = key.encryptedPKCS8(passphrase: passphrase) {
            return PEMBlock.encode("ENCRYPTED PRIVATE KEY", der)
        }
        guard passphrase == nil, let der = key.pkcs8() else {
            throw KapsuleError(
                .usage, id: "keygen.passphrase", "the passphrase cannot protect a key: it is empty",
                remedy: "put one into the file, or leave out --passphrase-file")
        }
        return PEMBlock.encode("PRIVATE KEY", der.bytes)
    }
}

/// The master key of encrypted disks: 64 random bytes.
public enum MasterKeyFile {
    /// - Throws: `.conflict` when the file is there.
    public static func write(to path: String) throws {
        let key = SecretBytes.random(count: 64)
        var text = Base64.encodeBytes(key.bytes) + [UInt8(ascii: "\n")]
        defer { SecretBytes.wipe(&text) }
        try AtomicFile.write(text, to: path, mode: 0o600, existing: .refuse)
    }
}
