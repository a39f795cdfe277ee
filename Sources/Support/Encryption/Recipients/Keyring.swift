internal import KapsuleCore
internal import KapsuleCrypto

/// Everything that may decrypt: private keys, key providers, Vault.
public struct Keyring: Sendable {
    struct Key: Sendable {
        let name: String
        let key: PrivateKey
    }

    private struct Provider: Sendable {
        let provider: KeyProvider
        let parameter: String
    }

    private var keys: [Key] = []
    private var providers: [Provider] = []
    private var vault: VaultTransit?

    public init() {}

    public var isEmpty: Bool { keys.isEmpty && providers.isEmpty && vault == nil }

    /// Adds what `--decryption-key` names: a private key with its passphrase, or `provider:NAME`. A certificate, which
    /// skopeo needs beside the key, is accepted and not needed.
    ///
    /// - Throws: `.usage` for a public key, a wrong passphrase, and anything that is no key.
    public mutating func add(_ text: String, environment: [String: String]) throws {
        if case .provider(let name, let parameter) = try Recipient.reference(text) {
            providers.append(
                Provider(
                    provider: try KeyProvider(named: name, environment: environment), parameter: parameter ?? "Enabled")
            )
            return
        }
        let file = ["jwe:", "pkcs7:"].first { text.hasPrefix($0) }.map { String(text.dropFirst($0.count)) } ?? text
        let argument = try KeyArgument(file)
        switch try KeyFile.read(argument.path, passphrase: try argument.passphrase?.read(), named: argument.path) {
        case .privateKey(let key): keys.append(Key(name: argument.path, key: key))
        case .publicKey: throw KeyFailure.publicForDecryption(argument.path).error
        case .certificate: return
        }
    }

    /// Adds a key that stays in Vault, and unwraps there.
    public mutating func add(_ vault: VaultTransit) { self.vault = vault }

    /// Adds a private key that Vault gives away. It stays in memory.
    public mutating func addExported(from vault: VaultTransit) throws {
        for (name, key) in try vault.exportedKeys() { keys.append(Key(name: name, key: key)) }
    }

    // MARK: Unlocking

    /// - Parameter what: names the layer in errors: `layer sha256:9f86… of ghcr.io/acme/m:7b`.
    /// - Throws: `.undecryptable` when nothing here opens it, saying who could; `.unverified` for annotations that are
    ///   damaged.
    public func unlock(_ annotations: [String: String], what: String) throws -> UnlockedLayer {
        let layer = try LayerAnnotations(annotations, what: what)
        var attempt = Attempt(what: what)
        let openers: [(LayerAnnotations.Entry, inout Attempt) -> SecretBytes?] = [
            openLocally, openByProvider, openByVault,
        ]
        for open in openers {
            for entry in layer.entries {
                guard let secret = open(entry, &attempt) else { continue }
                let options = try PrivateOptions(json: secret, fallback: layer.options.nonce, what: what)
                return UnlockedLayer(options, layer)
            }
        }
        if let damage = attempt.damage { throw damage }
        let recipients = LayerRecipients(layer.entries, what: what).names.joined(separator: "; ")
        if isEmpty { throw EncryptionFailure.noKey(what, recipients: recipients).error }
        if let failure = attempt.failure, keys.isEmpty { throw failure }
        throw EncryptionFailure.notForUs(what, recipients: recipients, tried: names, notes: attempt.notes).error
    }

    private var names: [String] {
        keys.map { "\($0.name): \($0.key.kind)" } + providers.map { "provider:\($0.provider.name)" }
            + (vault.map { ["vault:\($0.keyName)"] } ?? [])
    }

    /// What was found out on the way to nothing.
    private struct Attempt {
        let what: String
        var damage: KapsuleError?
        /// What a provider or Vault refused with.
        var failure: KapsuleError?
        var notes: [String] = []

        mutating func note(_ error: any Error) {
            guard let error = error as? KapsuleError else { return }
            if error.id == EncryptionFailure.annotationID {
                damage = damage ?? error
            } else {
                failure = failure ?? error
            }
            if !notes.contains(error.message) { notes.append(error.message) }
        }
    }

    private func openLocally(_ entry: LayerAnnotations.Entry, _ attempt: inout Attempt) -> SecretBytes? {
        do {
            switch entry.scheme {
            case "jwe":
                let message = try JWEReader(what: attempt.what).read(entry.payload)
                return keys.lazy.compactMap { message.open(with: $0.key) }.first
            case "pkcs7":
                let message = try PKCS7Message(entry.payload, what: attempt.what)
                return keys.lazy.compactMap { message.open(with: $0.key) }.first
            default: return nil
            }
        } catch {
            attempt.note(error)
            return nil
        }
    }

    private func openByProvider(_ entry: LayerAnnotations.Entry, _ attempt: inout Attempt) -> SecretBytes? {
        for item in providers where item.provider.name == entry.provider {
            do {
                return try item.provider.unwrap(entry.payload, parameter: item.parameter)
            } catch {
                attempt.note(error)
            }
        }
        return nil
    }

    private func openByVault(_ entry: LayerAnnotations.Entry, _ attempt: inout Attempt) -> SecretBytes? {
        guard let vault else { return nil }
        do {
            switch entry.scheme {
            case "jwe": return try vault.open(try JWEReader(what: attempt.what).read(entry.payload))
            case VaultEnvelope.scheme: return try vault.open(try VaultEnvelope(entry.payload, what: attempt.what))
            default: return nil
            }
        } catch {
            attempt.note(error)
            return nil
        }
    }
}
