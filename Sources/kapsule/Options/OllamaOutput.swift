internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Ollama
internal import Store

/// Where and under which names a build puts a model for Ollama.
struct OllamaOutput {
    /// The store; nil for the one that Ollama uses.
    let destination: String?
    /// As Ollama has names; nil where the tags say it.
    let name: String?
    let tags: [Reference]

    func exporter(replaces: Bool, in toolbox: Toolbox) throws -> any Exporter {
        let store = try destination.map { OllamaStore($0) } ?? OllamaStore.usual(toolbox.environment)
        var options = OllamaExporter.Options(store: store, names: try names())
        options.replaces = replaces
        let cache = try toolbox.digestCache()
        options.memory = BlobMemory(
            recall: { path in
                guard let status = try? FileStatus.of(path, followsLinks: true) else { return nil }
                return cache.contentDigest(of: path, status)
            },
            remember: { path, digest, start in
                guard let status = try? FileStatus.of(path, followsLinks: true) else { return }
                cache.record(digest, of: path, status, hashedFrom: start)
            })
        options.note = { toolbox.note("note: \($0)") }
        return OllamaExporter(options)
    }

    /// What was said, else the tags without a registry's host, else all of them.
    private func names() throws -> [OllamaName] {
        if let name { return [try OllamaName(parsing: name)] }
        let local = tags.filter { $0.host == nil }
        let names = try (local.isEmpty ? tags : local).map { try OllamaName(of: $0) }
        guard !names.isEmpty else {
            throw KapsuleError(
                .usage, id: "usage.ollama-name", "a model in Ollama's store has a name, and none is given",
                remedy: "give it one: --tag NAME with build, --name NAME with pull and export")
        }
        return names
    }
}
