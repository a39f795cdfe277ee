internal import Glibc
internal import KapsuleCore

/// Paths as text; nothing is looked at.
public enum Paths {
    /// What the last part is in: `a/b` gives `a`, `a` gives `.`, `/a` gives `/`.
    public static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The last part.
    public static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}
