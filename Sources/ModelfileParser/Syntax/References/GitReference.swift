import KapsuleCore

/// A git repository and which of its states: `git+https://HOST/REPO@COMMIT`, `git+file:///DIR@COMMIT`.
public struct GitReference: Sendable, Hashable {
    /// As git takes it: without `git+` and without the revision.
    public let url: String
    /// A branch, a tag or a commit; nil for the repository's default branch.
    public let revision: String?

    /// Whether the revision is a whole commit, which nobody can move.
    public var isPinned: Bool { revision.map(Self.isCommit) ?? false }

    /// - Parameters:
    ///   - rest: What follows `://`.
    ///   - scheme: `https`, `http` or `file`.
    ///   - text: The whole reference, for messages.
    init(parsing rest: String, scheme: String, in text: String) throws(KapsuleError) {
        let at = rest.lastIndex(of: "@")
        let location = at.map { String(rest[..<$0]) } ?? rest
        let revision = at.map { String(rest[rest.index(after: $0)...]) }
        let remedy = "write git+\(scheme)://\(scheme == "file" ? "/DIR" : "HOST/REPO")@COMMIT"
        let host = location.prefix { $0 != "/" }
        let hasHost = scheme == "file" ? host.isEmpty || host == "localhost" : !host.isEmpty
        guard hasHost, location.utf8.count > host.utf8.count + 1 else {
            throw SourceReference.malformed(text, "names no repository", remedy)
        }
        guard !location.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw SourceReference.malformed(text, "has a blank in its address", "write the blank as %20")
        }
        if let revision, !HubReference.isRevision(revision) {
            throw SourceReference.malformed(text, "has no revision after '@'", remedy)
        }
        url = "\(scheme)://\(location)"
        self.revision = revision
    }

    /// 40 hex digits, or 64 for a repository with SHA-256 names.
    static func isCommit(_ text: String) -> Bool {
        (text.utf8.count == 40 || text.utf8.count == 64)
            && text.utf8.allSatisfy {
                CharacterClass.isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0 | 0x20)
            }
    }
}
