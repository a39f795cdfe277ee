internal import KapsuleCore
internal import KapsuleCrypto
internal import Synchronization

/// A key of Vault's transit engine. The private key stays there: what crosses the network is the key of a key.
///
/// Source: Vault, "Transit secrets engine (API)".
public final class VaultTransit: Sendable {
    public let keyName: String
    private let client: VaultClient
    private let known = Mutex<Wrapping?>(nil)

    /// How layer keys are wrapped for it.
    enum Wrapping: Sendable {
        /// An RSA key: its public half wraps, as for anybody else.
        case key(JWEWriter.Recipient)
        /// A symmetric key: only Vault can wrap.
        case sealed(@Sendable (SecretBytes) throws -> [UInt8])
    }

    /// - Throws: `.usage` for a name that would lead elsewhere.
    public init(_ settings: VaultSettings, key: String) throws {
        guard !key.isEmpty, !key.contains("/"), !key.contains("..") else {
            throw KapsuleError(
                .usage, id: "vault.key-name", "'\(key)' is no name of a key in Vault", remedy: "give the name alone")
        }
        keyName = key
        client = VaultClient(settings)
    }

    private var mount: String { client.settings.mount }
    private var keyIDPrefix: String { "vault:\(mount)/\(keyName):v" }

    // MARK: What the key is

    private struct Info {
        let type: String
        let latest: Int64
        let oldest: Int64
        let document: LooseJSON

        func publicKey(_ version: Int64) -> PublicKey? {
            guard let text = document["keys"]?["\(version)"]?["public_key"]?.text,
                case .publicKey(let key, _, _)? = try? KeyFile.parse(
                    Array(text.utf8), passphrase: nil, named: "Vault's key")
            else { return nil }
            return key
        }
    }

    private func info() throws -> Info {
        let data = try client.read(["keys", keyName], key: keyName)
        let latest = data["latest_version"]?.number ?? 1
        return Info(
            type: data["type"]?.text ?? "", latest: latest,
            oldest: max(1, data["min_decryption_version"]?.number ?? 1), document: data)
    }

    // MARK: Encrypting

    func wrapping() throws -> Wrapping {
        if let wrapping = known.withLock({ $0 }) { return wrapping }
        let info = try info()
        let wrapping: Wrapping
        if info.type.hasPrefix("rsa-") {
            guard let key = info.publicKey(info.latest) else { throw unsuitable(info.type) }
            wrapping = .key(
                JWEWriter.Recipient(
                    key: key, algorithm: .rsaOAEP256, keyID: keyIDPrefix + "\(info.latest)", name: "vault:\(keyName)"))
        } else if VaultEnvelope.types.contains(info.type) {
            wrapping = .sealed { [self] secret in
                let answer = try client.write(
                    ["encrypt", keyName],
                    .members([
                        "plaintext": .string(Base64.encode(secret.bytes)),
                        "associated_data": .string(VaultEnvelope.label),
                    ]), key: keyName)
                guard let ciphertext = answer["ciphertext"]?.text else { throw unusable("encrypted nothing") }
                return VaultEnvelope(mount: mount, key: keyName, ciphertext: ciphertext).json
            }
        } else {
            throw unsuitable(info.type)
        }
        known.withLock { $0 = wrapping }
        return wrapping
    }

    private func unsuitable(_ type: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "vault.key-type",
            "the key \(mount)/\(keyName) is of the type '\(Printable.text(type.prefix(40)))', which cannot encrypt a layer key",
            remedy: "use a key of the type rsa-4096, rsa-3072, rsa-2048 or aes256-gcm96")
    }

    private func unusable(_ why: String) -> KapsuleError {
        KapsuleError(.unavailable, id: "vault.answer", "Vault \(why)", remedy: "check VAULT_ADDR")
    }

    // MARK: Decrypting

    /// - Returns: nil when none of its recipients can be a key of Vault's.
    func open(_ message: JWE) throws -> SecretBytes? {
        let candidates = message.recipients.filter { $0.algorithm?.padding != nil }
        let ours = candidates.filter { $0.keyID?.hasPrefix(keyIDPrefix) == true }
        var failure: KapsuleError?
        for recipient in ours.isEmpty ? candidates : ours {
            guard recipient.algorithm == .rsaOAEP256 else {
                failure = failure ?? oldPadding
                continue
            }
            for version in try versions(recipient) {
                do {
                    let text = "vault:v\(version):\(Base64.encode(recipient.encryptedKey))"
                    guard let key = try decrypt(["ciphertext": .string(text)]) else { continue }
                    if let plain = message.open(contentKey: key) { return plain }
                } catch let error as KapsuleError where error.code == .undecryptable {
                    failure = failure ?? error
                }
            }
        }
        if let failure { throw failure }
        return nil
    }

    private var oldPadding: KapsuleError {
        KapsuleError(
            .undecryptable, id: "vault.sha1",
            "the layer key is wrapped with RSA-OAEP (SHA-1), which Vault's transit engine cannot do",
            remedy:
                "encrypt with the key as a JSON Web Key with \"alg\":\"RSA-OAEP-256\", or add --encryption-vault-export"
        )
    }

    private func versions(_ recipient: JWE.Recipient) throws -> [Int64] {
        if let keyID = recipient.keyID, keyID.hasPrefix(keyIDPrefix),
            let version = Int64(keyID.dropFirst(keyIDPrefix.count))
        {
            return [version]
        }
        let info = try info()
        guard info.oldest <= info.latest, info.latest - info.oldest < 1000 else { return [info.latest] }
        return Array((info.oldest...info.latest).reversed())
    }

    func open(_ envelope: VaultEnvelope) throws -> SecretBytes? {
        // The address is never taken from the image, and neither is the key: ours has to be the one.
        guard envelope.key == keyName else { return nil }
        return try decrypt([
            "ciphertext": .string(envelope.ciphertext), "associated_data": .string(VaultEnvelope.label),
        ])
    }

    private func decrypt(_ body: KeyValuePairs<String, JSON?>) throws -> SecretBytes? {
        let answer = try client.write(["decrypt", keyName], .members(body), key: keyName)
        guard var plain = answer["plaintext"]?.text.flatMap({ Base64.decode($0) }) else { return nil }
        return SecretBytes(taking: &plain)
    }

    // MARK: Exporting

    /// Every version that Vault gives away, newest first.
    func exportedKeys() throws -> [(name: String, key: PrivateKey)] {
        let data = try client.read(["export", "encryption-key", keyName], key: keyName)
        let versions = (data["keys"]?.members ?? [:]).sorted { (Int($0.key) ?? 0) > (Int($1.key) ?? 0) }
        let keys = versions.compactMap { version, text -> (name: String, key: PrivateKey)? in
            let name = "vault:\(keyName):v\(version)"
            guard let pem = text.text,
                case .privateKey(let key)? = try? KeyFile.parse(Array(pem.utf8), passphrase: nil, named: name)
            else { return nil }
            return (name, key)
        }
        guard !keys.isEmpty else { throw unusable("exported no private key for \(mount)/\(keyName)") }
        return keys
    }
}

/// A layer key that Vault itself encrypted.
struct VaultEnvelope {
    static let scheme = "provider.kapsule-vault"
    /// Key types that encrypt, and authenticate other data beside.
    static let types = ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"]
    /// What is authenticated beside: an envelope is good for nothing else.
    static let label = Base64.encode(Array("kapsule layer key v1".utf8))

    let mount: String
    let key: String
    let ciphertext: String

    init(mount: String, key: String, ciphertext: String) {
        self.mount = mount
        self.key = key
        self.ciphertext = ciphertext
    }

    init(_ payload: [UInt8], what: String) throws {
        guard let document = LooseJSON(payload), document["version"]?.number == 1,
            let key = document["key"]?.text, let ciphertext = document["ciphertext"]?.text
        else { throw EncryptionFailure.annotation(what, "its Vault envelope cannot be read").error }
        self.init(mount: document["mount"]?.text ?? "transit", key: key, ciphertext: ciphertext)
    }

    var json: [UInt8] {
        Array(
            JSON.members([
                "version": 1, "mount": .string(mount), "key": .string(key), "ciphertext": .string(ciphertext),
            ]).compact.utf8)
    }

    /// For people.
    var summary: String { "Vault key \(Printable.text(mount.prefix(60)))/\(Printable.text(key.prefix(60)))" }
}
