public import KapsuleCore

/// What the value of FROM, ADAPTER or DRAFT names, as far as its text tells.
///
/// Whether a bare word is a file, a directory or a model's name is for a resolver to say, which can look: it tries
/// the path first, as Ollama does.
public enum SourceReference: Sendable, Hashable {
    /// A path, whether or not anything is there: `./x`, `../x`, `/x`, `~/x`, `.`, `x.gguf`, `x.safetensors`.
    case path(String)
    /// A path if something is there, otherwise an Ollama model name.
    case pathOrModelName(String)
    /// A repository of the hub.
    case hub(HubReference)
    /// An image in a registry.
    case registry(RegistryReference)
    /// An image in a directory in OCI layout: `oci:DIR[:TAG|@DIGEST]`.
    case layout(LocalImageReference)
    /// An image in a tar file in OCI layout: `oci-archive:FILE[:TAG|@DIGEST]`.
    case archive(LocalImageReference)
    /// A model by the name Ollama knows it by, which is no path.
    case ollama(OllamaName)
    /// A git repository, with LFS.
    case git(GitReference)

    /// Reads `text`. Never touches the disk or the network.
    ///
    /// - Throws: `KapsuleError` with code `.usage`: `modelfile.bad-reference` for what names nothing,
    ///   `modelfile.secret-in-file` for a URL that holds a password.
    public init(parsing text: String) throws(KapsuleError) {
        if Self.looksLikePath(text) {
            self = .path(text)
        } else if let scheme = Self.scheme(of: text) {
            self = try Self.parse(scheme: scheme, rest: String(text.dropFirst(scheme.count + 3)), text: text)
        } else if let rest = text.removing(prefix: "oci-archive:") {
            self = .archive(try LocalImageReference(parsing: rest, in: text, what: "FILE"))
        } else if let rest = text.removing(prefix: "oci:") {
            self = .layout(try LocalImageReference(parsing: rest, in: text, what: "DIR"))
        } else if let rest = text.removing(prefix: "hf.co/") ?? text.removing(prefix: "huggingface.co/") {
            self = .hub(try HubReference(parsing: rest, in: text))
        } else if text.isEmpty {
            throw Self.malformed(
                text, "names nothing", "write a path, a model's name or a reference such as hf://ORG/NAME")
        } else {
            self = .pathOrModelName(text)
        }
    }

    /// Whether `text` can only be meant as a path: a missing file is then an error, not a model to be found elsewhere.
    public static func looksLikePath(_ text: String) -> Bool {
        if text == "." || text == ".." || text == "~" { return true }
        if ["./", "../", "~", "/", "\\", ".\\", "..\\"].contains(where: text.hasPrefix) { return true }
        if isDrivePath(text) { return true }
        guard scheme(of: text) == nil,
            !["oci:", "oci-archive:", "hf.co/", "huggingface.co/"].contains(where: text.hasPrefix)
        else { return false }
        return [".gguf", ".safetensors"].contains(where: text.lowercased().hasSuffix)
    }

    /// `C:\x` or `C:/x`.
    private static func isDrivePath(_ text: String) -> Bool {
        let bytes = Array(text.utf8.prefix(3))
        return bytes.count == 3 && CharacterClass.isLetter(bytes[0]) && bytes[1] == UInt8(ascii: ":")
            && (bytes[2] == UInt8(ascii: "\\") || bytes[2] == UInt8(ascii: "/"))
            && !text.utf8.dropFirst(3).starts(with: "/".utf8)
    }

    /// What stands before `://`, if it can be a scheme.
    private static func scheme(of text: String) -> String? {
        let scheme = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        guard !scheme.isEmpty, text.utf8.dropFirst(scheme.count).starts(with: "://".utf8) else { return nil }
        let isWord = scheme.allSatisfy {
            CharacterClass.isLetter($0) || CharacterClass.isDigit($0) || "+-.".utf8.contains($0)
        }
        return isWord ? String(decoding: scheme, as: UTF8.self) : nil
    }

    private static let schemes = [
        "hf", "huggingface", "oci", "ollama", "git+https", "git+http", "git+file", "https", "http",
    ]

    private static func parse(scheme: String, rest: String, text: String) throws(KapsuleError) -> SourceReference {
        try refuseCredentials(in: rest, of: scheme)
        switch scheme.lowercased() {
        case "hf", "huggingface": return .hub(try HubReference(parsing: rest, in: text))
        case "oci": return .registry(try RegistryReference(parsing: rest, in: text))
        case "ollama": return .ollama(try OllamaName(parsing: rest))
        case "git+https", "git+http", "git+file":
            return .git(try GitReference(parsing: rest, scheme: String(scheme.lowercased().dropFirst(4)), in: text))
        case "http", "https": return try parseWeb(rest, text: text)
        case "file":
            throw malformed(text, "is a URL where a path is expected", "write the path itself, without 'file://'")
        case "docker":
            throw malformed(text, "has an unknown scheme 'docker'", "write oci://\(rest) for an image in a registry")
        case "git", "ssh", "git+ssh":
            throw malformed(
                text, "has a scheme that is not supported",
                "write git+https://HOST/REPO@COMMIT or git+file:///DIR@COMMIT")
        default:
            let nearest = Suggestion.nearest(to: String(scheme.prefix(20)), among: schemes)
            throw malformed(
                text, "has an unknown scheme \(Printable.quoted(scheme, limit: 20))",
                nearest.map { "did you mean \($0)://?" }
                    ?? "write a path, a model's name, or hf://, oci://, ollama://, git+https:// and what follows them")
        }
    }

    /// `https://` names the hub, or a registry that speaks Ollama's protocol.
    private static func parseWeb(_ rest: String, text: String) throws(KapsuleError) -> SourceReference {
        for host in ["huggingface.co/", "www.huggingface.co/", "hf.co/"] {
            if let path = rest.removing(prefix: host) { return .hub(try HubReference(parsing: path, in: text)) }
        }
        if let page = rest.removing(prefix: "ollama.com/library/") {
            throw malformed(text, "is the page of a model", "write ollama://\(page)")
        }
        if let name = try? OllamaName(parsing: text), rest.utf8.filter({ $0 == UInt8(ascii: "/") }).count == 2 {
            return .ollama(name)
        }
        throw malformed(
            text, "names no source that is known by a web address",
            "for a git repository write git+https://HOST/REPO@COMMIT; a file has to be fetched first")
    }

    private static func refuseCredentials(in rest: String, of scheme: String) throws(KapsuleError) {
        let authority = rest.prefix { $0 != "/" }
        guard let at = authority.firstIndex(of: "@"), !authority[at...].hasPrefix("@sha256:") else { return }
        let isHub = ["hf", "huggingface", "ollama", "oci"].contains(scheme.lowercased())
        guard !isHub || authority[..<at].contains(":") else { return }
        throw KapsuleError(
            .usage, id: Diagnostic.secretID,
            "the address holds a user name or a password, which every reader would see",
            remedy: "write the address without them; credentials come from the environment or from 'kapsule login'")
    }

    static func malformed(_ text: String, _ problem: String, _ remedy: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "modelfile.bad-reference", "\(Printable.quoted(text, limit: 120)) \(problem)", remedy: remedy)
    }
}

extension StringProtocol {
    /// What follows `prefix`; nil when it is not there.
    func removing(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
