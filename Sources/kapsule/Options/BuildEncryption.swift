internal import Encryption
internal import Exporters
internal import KapsuleCore
internal import ModelfileParser

/// For whom a build encrypts: `--encryption-key`, Vault, and the ENCRYPT lines of the Modelfile.
struct BuildEncryption {
    let flags: EncryptionFlags
    let vault: VaultFlags
    let toolbox: Toolbox
    /// Where relative paths of ENCRYPT start: the directory of the Modelfile.
    let directory: String

    /// Nil when nobody asked for encryption.
    ///
    /// - Throws: `.usage` for a recipient that cannot be used, blamed on its line; nothing is made then.
    func encryption(_ modelfile: Modelfile) throws -> LayerEncryption? {
        let given = try flags.recipients(toolbox.environment, try vault.transit(in: toolbox))
        var rules = given.map { LayerEncryption.Rule($0) }
        for line in modelfile.instructions {
            guard case .encrypt(let recipient, let patterns, _) = line.content else { continue }
            do {
                let reference = try RecipientReference(parsing: recipient.text)
                rules.append(
                    LayerEncryption.Rule(try self.recipient(reference), files: PathFilter(patterns.map(\.text))))
            } catch let error as KapsuleError {
                throw error.blaming(recipient.span)
            }
        }
        return LayerEncryption(rules)
    }

    private func recipient(_ reference: RecipientReference) throws -> Recipient {
        func path(_ path: String) -> String { path.hasPrefix("/") ? path : "\(directory)/\(path)" }
        let environment = toolbox.environment
        switch reference {
        case .file(let file): return try Recipient(.file(path(file)), environment: environment)
        case .jwe(let file): return try Recipient(.jwe(path(file)), environment: environment)
        case .pkcs7(let file): return try Recipient(.pkcs7(path(file)), environment: environment)
        case .provider(let name, let parameters):
            return try Recipient(.provider(name: name, parameter: parameters), environment: environment)
        case .vault(let key): return Recipient(vault: try vault.transit(key, in: toolbox))
        case .emwpFile, .emwpEnvironment:
            throw KapsuleError(
                .usage, id: "encryption.emwp",
                "a master key encrypts disks, and an OCI image cannot be encrypted with it",
                remedy: "name a public key here; for an encrypted disk use --format emwp with --key-file")
        }
    }
}
