public import KapsuleCore
public import ModelfileParser
public import OCI

extension OllamaName {
    static let defaultHost = "registry.ollama.ai"
    static let defaultNamespace = "library"

    /// As Ollama shows it: host and namespace only where they are not the usual ones, the tag always.
    public var short: String {
        if !Self.equal(host, Self.defaultHost) { return "\(host)/\(namespace)/\(model):\(tag)" }
        return (Self.equal(namespace, Self.defaultNamespace) ? "" : "\(namespace)/") + "\(model):\(tag)"
    }

    /// Whether it names no registry, or Ollama's.
    public var isOfOllamasRegistry: Bool { Self.equal(host, Self.defaultHost) }

    /// Where the manifest is, below `manifests`.
    var parts: [String] { [host, namespace, model, tag] }

    /// The name that a manifest's place stands for; nil for a file that is none.
    init?(parts: [String]) {
        guard parts.count == 4, let name = try? OllamaName(parsing: "\(parts[0])/\(parts[1])/\(parts[2]):\(parts[3])"),
            name.parts == parts
        else { return nil }
        self = name
    }

    /// Case does not tell names apart.
    static func equal(_ a: String, _ b: String) -> Bool { a.lowercased() == b.lowercased() }

    /// The repository of a registry that has this model, and the tag there.
    public var reference: Reference { Reference(host: host, repository: "\(namespace)/\(model)", tag: tag) }

    /// What an image of a registry, or of kapsule's store, is called in Ollama's store.
    ///
    /// Ollama's names have at most a host, one namespace and a model; an image of a registry without namespace is `library`'s.
    ///
    /// - Throws: `.usage` for a reference that no such name can say.
    public init(of reference: Reference) throws(KapsuleError) {
        let parts = reference.repository.split(separator: "/").map(String.init)
        let host = reference.host.map { "\($0)/" } ?? ""
        let path =
            parts.count == 1 && reference.host != nil ? "\(Self.defaultNamespace)/\(parts[0])" : reference.repository
        let name = parts.count <= 2 ? try? OllamaName(parsing: "\(host)\(path):\(reference.tag ?? "latest")") : nil
        guard let name else {
            throw KapsuleError(
                .usage, id: "ollama.name", "Ollama cannot have a model called '\(reference)'",
                remedy:
                    "give it another name there: --output type=ollama,name=NAME with build, --name NAME with pull and export"
            )
        }
        self = name
    }
}
