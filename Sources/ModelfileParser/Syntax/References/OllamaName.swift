public import KapsuleCore

/// A model's name as Ollama has them: `[SCHEME://][HOST/][NAMESPACE/]MODEL[:TAG]`.
///
/// Source: Ollama `types/model/name.go`.
public struct OllamaName: Sendable, Hashable {
    public let scheme: String
    public let host: String
    public let namespace: String
    public let model: String
    public let tag: String

    /// Reads a name from the right; what is missing is `https`, `registry.ollama.ai`, `library`, `latest`.
    ///
    /// - Throws: `KapsuleError` with code `.usage`, id `modelfile.bad-reference`.
    public init(parsing text: String) throws(KapsuleError) {
        var rest = text[...]
        var tag: Substring = "latest"
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
            tag = rest[rest.index(after: colon)...]
            rest = rest[..<colon]
        }
        let model = Self.cutLast(&rest) ?? rest
        var namespace: Substring = "library"
        var host: Substring = "registry.ollama.ai"
        var scheme: Substring = "https"
        if rest.endIndex < model.startIndex {
            let hasHost = rest.contains("/")
            namespace = Self.cutLast(&rest) ?? rest
            if hasHost { (scheme, host) = Self.splitHost(rest) }
        }
        let parts: [(name: String, text: Substring, longest: Int, marks: String)] = [
            ("host", host, 350, "-.:"), ("namespace", namespace, 80, "-"), ("model", model, 80, "-."),
            ("tag", tag, 80, "-."),
        ]
        for part in parts where !Self.isPart(part.text, longest: part.longest, marks: part.marks) {
            throw SourceReference.malformed(
                text, "is no model name: its \(part.name) is \(Printable.quoted(String(part.text), limit: 30))",
                "write [HOST/][NAMESPACE/]MODEL[:TAG] in letters, digits, '_', '-' and '.'")
        }
        self.scheme = String(scheme)
        self.host = String(host)
        self.namespace = String(namespace)
        self.model = String(model)
        self.tag = String(tag)
    }

    /// Cuts off what follows the last slash and the slash; nil when there is none.
    private static func cutLast(_ text: inout Substring) -> Substring? {
        guard let slash = text.lastIndex(of: "/") else { return nil }
        let last = text[text.index(after: slash)...]
        text = text[..<slash]
        return last
    }

    private static func splitHost(_ text: Substring) -> (scheme: Substring, host: Substring) {
        for scheme in ["https", "http"] where text.hasPrefix(scheme + "://") {
            return (text.prefix(scheme.count), text.dropFirst(scheme.count + 3))
        }
        return ("https", text)
    }

    private static func isPart(_ text: Substring, longest: Int, marks: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= longest, CharacterClass.isNameByte(first) else {
            return false
        }
        return text.utf8.allSatisfy { CharacterClass.isNameByte($0) || marks.utf8.contains($0) }
    }
}
