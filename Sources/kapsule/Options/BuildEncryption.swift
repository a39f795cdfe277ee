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

    /// What was asked for.
    struct Wishes {
        /// Nil when nobody asked for encrypted layers.
        let layers: LayerEncryption?
        /// `ENCRYPT emwp:…`, the key of an encrypted disk.
        let disk: DiskKey?
    }

    struct DiskKey {
        let place: MasterKey.Place
        let span: SourceSpan
    }

    /// - Throws: `.usage` for a recipient that cannot be used, blamed on its line; nothing is made then.
    func wishes(_ modelfile: Modelfile) throws -> Wishes {
        let given = try flags.recipients(toolbox.environment, try vault.transit(in: toolbox))
        var rules = given.map { LayerEncryption.Rule($0) }
        var disk: DiskKey?
        for line in modelfile.instructions {
            guard case .encrypt(let recipient, let patterns, _) = line.content else { continue }
            do {
                let reference = try RecipientReference(parsing: recipient.text)
                if let place = masterKey(reference) {
                    try Self.checkDisk(patterns.isEmpty, isFirst: disk == nil)
                    disk = DiskKey(place: place, span: recipient.span)
                } else if let recipient = try self.recipient(reference) {
                    rules.append(LayerEncryption.Rule(recipient, files: PathFilter(patterns.map(\.text))))
                }
            } catch let error as KapsuleError {
                throw error.blaming(recipient.span)
            }
        }
        return Wishes(layers: LayerEncryption(rules), disk: disk)
    }

    private static func checkDisk(_ isWhole: Bool, isFirst: Bool) throws {
        guard isWhole else {
            throw KapsuleError(
                .usage, id: "encryption.emwp-files", "an encrypted disk is encrypted as a whole, not file by file",
                remedy: "leave the patterns out")
        }
        guard isFirst else {
            throw KapsuleError(
                .usage, id: "encryption.emwp-twice", "an encrypted disk has one master key, and this is the second",
                remedy: "keep one 'ENCRYPT emwp:' line")
        }
    }

    private func masterKey(_ reference: RecipientReference) -> MasterKey.Place? {
        switch reference {
        case .emwpFile(let file): .file(absolute(file))
        case .emwpEnvironment(let name): .variable(name)
        case .file, .jwe, .pkcs7, .provider, .vault: nil
        }
    }

    private func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(directory)/\(path)" }

    /// Nil for a master key, which is nobody's.
    private func recipient(_ reference: RecipientReference) throws -> Recipient? {
        let environment = toolbox.environment
        switch reference {
        case .file(let file): return try Recipient(.file(absolute(file)), environment: environment)
        case .jwe(let file): return try Recipient(.jwe(absolute(file)), environment: environment)
        case .pkcs7(let file): return try Recipient(.pkcs7(absolute(file)), environment: environment)
        case .provider(let name, let parameters):
            return try Recipient(.provider(name: name, parameter: parameters), environment: environment)
        case .vault(let key): return Recipient(vault: try vault.transit(key, in: toolbox))
        case .emwpFile, .emwpEnvironment: return nil
        }
    }
}
