internal import KapsuleCore

/// Where the store and the cache are.
public struct StorePaths: Sendable, Hashable {
    /// Images. Losing it loses work.
    public let home: String
    /// What can be worked out again.
    public let cache: String

    /// `KAPSULE_HOME`, else `kapsule` in the data folder; the cache is `kapsule` in the cache folder.
    ///
    /// Source: XDG Base Directory Specification 0.8: a relative path there counts as not set.
    ///
    /// - Throws: `.usage` when a folder is needed and neither its variable nor `HOME` is set.
    public init(environment: [String: String]) throws {
        func folder(_ variable: String, or fallback: String) throws -> String {
            if let path = environment[variable], path.hasPrefix("/") { return path + "/kapsule" }
            guard let home = environment["HOME"], home.hasPrefix("/") else {
                throw KapsuleError(
                    .usage, id: "store.no-home",
                    "cannot tell where to keep images: neither \(variable) nor HOME is set",
                    remedy: "set KAPSULE_HOME and XDG_CACHE_HOME to directories of your own")
            }
            return "\(home)/\(fallback)/kapsule"
        }
        if let path = environment["KAPSULE_HOME"], !path.isEmpty {
            home = path
        } else {
            home = try folder("XDG_DATA_HOME", or: ".local/share")
        }
        cache = try folder("XDG_CACHE_HOME", or: ".cache")
    }
}
