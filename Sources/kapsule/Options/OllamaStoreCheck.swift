internal import KapsuleCore
internal import KapsuleIO
internal import Ollama

/// The check of a directory of Ollama's as a whole.
struct OllamaStoreCheck {
    let store: OllamaStore
    let concurrency: Int
    let toolbox: Toolbox

    /// The store that a word means: `ollama:` the one that Ollama uses, `ollama:./DIR` or the path of a directory that is
    /// one; nil for any other word.
    static func store(_ text: String, _ environment: [String: String]) throws -> OllamaStore? {
        guard let path = OllamaLocator.name(in: text) else {
            return try OllamaStore.isThere(text) ? OllamaStore(text) : nil
        }
        if path.isEmpty { return try existing(try OllamaStore.usual(environment)) }
        guard ["/", "./", "../"].contains(where: path.hasPrefix) else { return nil }
        return try existing(OllamaStore(path))
    }

    private static func existing(_ store: OllamaStore) throws -> OllamaStore {
        guard try OllamaStore.isThere(store.path) else {
            throw KapsuleError(
                .usage, id: "ollama.no-store",
                "\(store.path) is no directory of Ollama's: it lacks blobs and manifests",
                remedy: "OLLAMA_MODELS says where to look")
        }
        return store
    }

    /// - Returns: one line for people.
    /// - Throws: `.unverified` when a model cannot be used.
    func run() async throws -> String {
        let check = try await store.check(threads: concurrency, progress: toolbox.progress)
        for finding in check.findings { toolbox.note("\(finding.isFatal ? "" : "note: ")\(finding.text)") }
        let damage = check.findings.filter(\.isFatal)
        guard let first = damage.first else {
            return
                "\(store.path): \(check.models == 1 ? "1 model is" : "\(check.models) models are") whole, \(check.blobs) blobs"
        }
        throw KapsuleError(
            .unverified, id: "ollama.damaged",
            damage.count == 1
                ? first.text : "\(damage.count) things in \(store.path) are damaged; the first: \(first.text)",
            remedy: "remove the blobs that are damaged, and make the models or pull them again")
    }
}
