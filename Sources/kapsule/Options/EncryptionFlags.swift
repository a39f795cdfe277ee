internal import ArgumentParser
internal import Encryption
internal import Exporters
internal import KapsuleCore

/// For whom to encrypt.
struct EncryptionFlags: ParsableArguments {
    @Option(
        name: .customLong("encryption-key"),
        help: ArgumentHelp(
            "Encrypt every layer for this public key or certificate: FILE, jwe:FILE, pkcs7:FILE or provider:NAME; repeatable.",
            valueName: "key"))
    var keys: [String] = []

    func recipients(_ environment: [String: String], _ vault: VaultTransit?) throws -> [Recipient] {
        try keys.map { try Recipient(try Recipient.reference($0), environment: environment) }
            + (vault.map { [Recipient(vault: $0)] } ?? [])
    }
}

/// With what to decrypt.
struct DecryptionFlags: ParsableArguments {
    @Option(
        name: .customLong("decryption-key"),
        help: ArgumentHelp(
            "Decrypt with this private key: FILE[:file=PATH|:fd=N|:pass=TEXT] or provider:NAME; repeatable.",
            valueName: "key"))
    var keys: [String] = []

    func keyring(_ environment: [String: String]) throws -> Keyring {
        var keyring = Keyring()
        for key in keys { try keyring.add(key, environment: environment) }
        return keyring
    }
}

/// A key of Vault's transit engine.
struct VaultFlags: ParsableArguments {
    @Option(
        name: .customLong("encryption-vault-key"),
        help: ArgumentHelp("Use this key of Vault's transit engine; it stays there.", valueName: "name"))
    var key: String?

    @Option(
        name: .customLong("encryption-vault-addr"),
        help: ArgumentHelp("Where Vault is. Default: VAULT_ADDR.", valueName: "url"))
    var address: String?

    @Option(
        name: .customLong("encryption-vault-path"),
        help: ArgumentHelp("Where the transit engine is mounted. Default: transit.", valueName: "path"))
    var path: String?

    @Option(
        name: .customLong("encryption-vault-namespace"),
        help: ArgumentHelp("Default: VAULT_NAMESPACE.", valueName: "name"))
    var namespace: String?

    @Option(
        name: .customLong("encryption-vault-auth-token"),
        help: ArgumentHelp(
            "Default: VAULT_TOKEN, then ~/.vault-token. Others on this machine can see what is written here.",
            valueName: "token"))
    var token: String?

    @Flag(
        name: .customLong("encryption-vault-export"),
        help: "Decrypt with the private key itself, which Vault must be willing to give away.")
    var exports = false

    func validate() throws {
        if exports, key == nil { throw ValidationError("--encryption-vault-export needs an --encryption-vault-key.") }
    }

    /// - Parameter name: of a key in the engine.
    func transit(_ name: String, in toolbox: Toolbox) throws -> VaultTransit {
        let words = VaultSettings.Words(address: address, mount: path, namespace: namespace, token: token)
        return try VaultTransit(
            VaultSettings(words, environment: toolbox.environment, logger: toolbox.logger), key: name)
    }

    func transit(in toolbox: Toolbox) throws -> VaultTransit? { try key.map { try transit($0, in: toolbox) } }
}

extension DecryptionFlags {
    func keyring(_ vault: VaultFlags, in toolbox: Toolbox) throws -> Keyring {
        var keyring = try keyring(toolbox.environment)
        guard let transit = try vault.transit(in: toolbox) else { return keyring }
        if vault.exports {
            toolbox.note("warning: the private key leaves Vault, for as long as this command runs")
            try keyring.addExported(from: transit)
        } else {
            keyring.add(transit)
        }
        return keyring
    }
}
