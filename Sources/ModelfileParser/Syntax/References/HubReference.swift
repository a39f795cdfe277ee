import KapsuleCore

/// A repository of the hub, `ORG/NAME`, and which of its states.
///
/// Written `hf://ORG/NAME[:QUANT][@REVISION]`, with `huggingface://` or `https://huggingface.co/` in place of `hf://`,
/// or as Ollama writes it: `hf.co/ORG/NAME[:QUANT]`. A page's address, `…/ORG/NAME/tree/REVISION`, names that revision.
public struct HubReference: Sendable, Hashable {
    public let organisation: String
    public let name: String
    /// A branch, a tag or a commit; nil for the repository's default branch.
    public let revision: String?
    /// Which GGUF file of several: `Q4_K_M`.
    public let quantisation: String?
    /// Whether it is written as Ollama writes it, without a scheme: of a repository with GGUF files it then means one.
    public let isOllamaName: Bool

    /// `ORG/NAME`
    public var repository: String { "\(organisation)/\(name)" }

    /// Whether the revision is a whole commit, which nobody can move.
    public var isPinned: Bool { revision.map(GitReference.isCommit) ?? false }

    /// - Parameters:
    ///   - rest: What follows the scheme and the host.
    ///   - text: The whole reference, for messages.
    init(parsing rest: String, in text: String) throws(KapsuleError) {
        func malformed(_ problem: String, _ remedy: String) -> KapsuleError {
            SourceReference.malformed(text, problem, remedy)
        }
        let (path, revision, quantisation) = Self.split(rest)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        if ["datasets", "spaces"].contains(String(parts[0])) {
            throw malformed("names no model but one of the hub's \(parts[0])", "write hf://ORG/NAME of a model")
        }
        if parts.count > 2, ["blob", "resolve", "raw"].contains(String(parts[2])) {
            throw malformed(
                "names a single file",
                "write hf://\(parts[0])/\(parts[1])@COMMIT and leave the other files out with EXCLUDE")
        }
        guard parts.count == 2, parts.allSatisfy(Self.isName) else {
            throw malformed("names no repository of the hub", "write hf://ORG/NAME or hf://ORG/NAME@COMMIT")
        }
        if let revision, !Self.isRevision(revision) {
            throw malformed(
                revision.isEmpty ? "has no revision after '@'" : "has a revision that git cannot have",
                "write a branch, a tag or a commit of 40 hex digits after '@'")
        }
        if let quantisation, quantisation.isEmpty || !quantisation.utf8.allSatisfy(Self.isNameByte) {
            throw malformed("has no quantisation after ':'", "write one such as hf.co/ORG/NAME:Q4_K_M")
        }
        organisation = String(parts[0])
        name = String(parts[1])
        self.revision = revision
        self.quantisation = quantisation
        isOllamaName = !text.contains("://")
    }

    private static func split(_ rest: String) -> (path: String, revision: String?, quantisation: String?) {
        var path = rest.prefix { $0 != "@" && $0 != ":" }
        var (revision, quantisation): (String?, String?)
        var tail = rest[path.endIndex...]
        while let mark = tail.first {
            let value = tail.dropFirst().prefix { $0 != "@" && $0 != ":" }
            if mark == "@" { revision = String(value) } else { quantisation = String(value) }
            tail = tail[value.endIndex...]
        }
        if path.last == "/", path.count > 1 { path.removeLast() }
        let parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        if parts.count == 4, parts[2] == "tree", revision == nil {
            return ("\(parts[0])/\(parts[1])", String(parts[3]), quantisation)
        }
        return (String(path), revision, quantisation)
    }

    /// Source: huggingface_hub `utils/_validators.py`, `REPO_ID_REGEX`.
    private static func isName(_ part: Substring) -> Bool {
        let length = 1...96
        return length.contains(part.utf8.count) && part.utf8.allSatisfy(isNameByte)
            && !part.hasPrefix(".") && !part.hasPrefix("-") && !part.hasSuffix(".") && !part.hasSuffix("-")
            && !part.contains("..") && !part.contains("--")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        CharacterClass.isNameByte(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    /// Source: git-check-ref-format(1).
    static func isRevision(_ text: String) -> Bool {
        !text.isEmpty && !text.contains("..") && !text.hasPrefix("/") && !text.hasSuffix("/") && !text.hasPrefix("-")
            && !text.contains("//") && !text.hasSuffix(".")
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"~^:?*[\\".utf8.contains($0) }
    }
}
