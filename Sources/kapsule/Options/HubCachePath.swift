internal import KapsuleCore

/// Where the cache of the hub is, as `huggingface_hub` looks for it.
///
/// Source: huggingface_hub 2.4, `constants.py`.
enum HubCachePath {
    /// - Throws: `.usage` without a home directory.
    static func of(_ environment: [String: String]) throws -> String {
        func path(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : expanded($0, environment) }
        }
        let caches = path("XDG_CACHE_HOME") ?? path("HOME").map { "\($0)/.cache" }
        let home = path("HF_HOME") ?? caches.map { "\($0)/huggingface" }
        if let found = path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? home.map({ "\($0)/hub" }) {
            return found
        }
        throw KapsuleError(
            .usage, id: "hub-cache.nowhere", "there is no home directory, so nobody can say where the hub's cache is",
            remedy: "name it: type=hf-cache,dest=DIR, or set HF_HUB_CACHE")
    }

    /// `~` at the beginning is the home directory.
    private static func expanded(_ path: String, _ environment: [String: String]) -> String {
        guard path == "~" || path.hasPrefix("~/"), let home = environment["HOME"] else { return path }
        return home + path.dropFirst()
    }
}
