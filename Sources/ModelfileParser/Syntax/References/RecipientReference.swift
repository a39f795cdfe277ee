public import KapsuleCore

/// For whom ENCRYPT encrypts: where a public key is, or who keeps one. Never a secret itself.
public enum RecipientReference: Sendable, Hashable {
    /// A public key or a certificate in a file; which of the two its content tells.
    case file(path: String)
    /// `jwe:PATH`
    case jwe(path: String)
    /// `pkcs7:PATH`
    case pkcs7(path: String)
    /// `provider:NAME[:PARAMETERS]`
    case provider(name: String, parameters: String?)
    /// `vault:KEY`, a key of Vault's transit engine.
    case vault(key: String)
    /// `emwp:PATH`, the file of a master key.
    case emwpFile(path: String)
    /// `emwp:env:NAME`, the environment variable that holds a master key.
    case emwpEnvironment(name: String)

    /// The file it names, relative to the Modelfile.
    public var path: String? {
        switch self {
        case .file(let path), .jwe(let path), .pkcs7(let path), .emwpFile(let path): path
        case .provider, .vault, .emwpEnvironment: nil
        }
    }

    private static let kinds = ["jwe", "pkcs7", "provider", "vault", "emwp"]

    /// Reads the key of an ENCRYPT.
    ///
    /// - Throws: `KapsuleError` with code `.usage`: `modelfile.secret-in-file` for a key or a password written out,
    ///   whose message does not repeat it; `modelfile.bad-recipient` for anything else.
    public init(parsing text: String) throws(KapsuleError) {
        try Self.refuseSecret(text)
        guard let kind = Self.kind(of: text) else {
            try Self.refusePassword(text)
            self = .file(path: try Self.some(text, "a key", "ENCRYPT keys/alice.pem"))
            return
        }
        let rest = String(text.dropFirst(kind.count + 1))
        switch kind {
        case "jwe", "pkcs7":
            try Self.refusePassword(rest)
            let path = try Self.some(rest, "a key after '\(kind):'", "ENCRYPT \(kind):keys/alice.pem")
            self = kind == "jwe" ? .jwe(path: path) : .pkcs7(path: path)
        case "provider":
            let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = try Self.some(parts.first ?? "", "a key provider after 'provider:'", "ENCRYPT provider:NAME")
            self = .provider(name: name, parameters: parts.count > 1 ? parts[1] : nil)
        case "vault":
            self = .vault(key: try Self.some(rest, "a key after 'vault:'", "ENCRYPT vault:KEY"))
        case "emwp": self = try Self.emwp(rest)
        default:
            let nearest = Suggestion.nearest(to: String(kind.prefix(20)), among: Self.kinds)
            throw KapsuleError(
                .usage, id: "modelfile.bad-recipient", "unknown kind of key \(Printable.quoted(kind + ":", limit: 20))",
                remedy: nearest.map { "did you mean \($0):?" }
                    ?? "write jwe:, pkcs7:, provider:, vault: or emwp:; a file of that name is './…'")
        }
    }

    private static func emwp(_ rest: String) throws(KapsuleError) -> RecipientReference {
        let example = "ENCRYPT emwp:keys/master.key or ENCRYPT emwp:env:NAME"
        guard let name = rest.removing(prefix: "env:") else {
            return .emwpFile(path: try some(rest, "a key file after 'emwp:'", example))
        }
        let isName = !name.isEmpty && name.utf8.allSatisfy(CharacterClass.isNameByte)
        guard isName, name.utf8.first.map(CharacterClass.isDigit) == false else {
            throw KapsuleError(
                .usage, id: "modelfile.bad-recipient", "ENCRYPT names no environment variable after 'emwp:env:'",
                remedy: "write \(example)")
        }
        return .emwpEnvironment(name: name)
    }

    private static func some(_ text: String, _ what: String, _ example: String) throws(KapsuleError) -> String {
        guard text.isEmpty else { return text }
        throw KapsuleError(
            .usage, id: "modelfile.bad-recipient", "ENCRYPT does not name \(what)", remedy: "write \(example)")
    }

    /// The word before the first colon, if it can be a kind: letters and digits, no path.
    private static func kind(of text: String) -> String? {
        let kind = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        guard !kind.isEmpty, kind.count < text.utf8.count else { return nil }
        guard kind.allSatisfy({ CharacterClass.isLetter($0) || CharacterClass.isDigit($0) }) else { return nil }
        return String(decoding: kind, as: UTF8.self)
    }

    /// Keys written out: PEM, JWK, Vault tokens, a master key in Base64 or hex.
    private static func refuseSecret(_ text: String) throws(KapsuleError) {
        let token = text.removing(prefix: "vault:") ?? ""
        let master = text.removing(prefix: "emwp:") ?? ""
        let isToken = ["hvs.", "hvb.", "hvr."].contains(where: token.hasPrefix)
        guard text.contains("-----BEGIN") || text.hasPrefix("{") || isToken || isKeyMaterial(master) else { return }
        throw secret(
            "ENCRYPT takes the name of a key, never the key itself",
            "put the key in a file that is not part of the model, and write the file's path")
    }

    private static func refusePassword(_ path: String) throws(KapsuleError) {
        let endings = [".pem", ".key", ".der", ".p12", ".pfx", ".crt", ".cer", ".jwk", ".json"]
        let lower = path.lowercased()
        let hasPassword = ([":pass="] + endings.map { $0 + ":" }).contains(where: lower.contains)
        guard hasPassword else { return }
        throw secret(
            "ENCRYPT takes no password: whoever has the image could read it here",
            "write the path of the public key alone; --decryption-key takes passwords, from a file with ':file='")
    }

    private static func secret(_ message: String, _ remedy: String) -> KapsuleError {
        KapsuleError(.usage, id: Diagnostic.secretID, message, remedy: remedy)
    }

    /// 32 bytes in hex, or in Base64 with its padding.
    private static func isKeyMaterial(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        if bytes.count == 44, bytes.last == UInt8(ascii: "=") {
            return bytes.dropLast().allSatisfy {
                CharacterClass.isLetter($0) || CharacterClass.isDigit($0) || "+/-_".utf8.contains($0)
            }
        }
        return bytes.count == 64 && GitReference.isCommit(text)
    }
}
