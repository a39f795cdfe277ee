internal import HTTP
internal import KapsuleCore
internal import KapsuleIO

/// A repository of somebody else's, of which the cache keeps what builds have asked for.
///
/// In the cache it is bare and shallow, and has the trees of the commits and the files that were wanted: those in git, never
/// those in LFS.
public final class GitRepository: Sendable {
    /// As git takes it.
    public let url: String
    let git: GitProgram
    /// PEM file of the authorities that git believes; nil for the system's. LFS servers are believed on the same grounds.
    public var authorities: String? { git.authorities }
    let failure: GitFailure
    private let cache: String

    /// - Parameters:
    ///   - url: `https://…`, `http://…` or `file:///…`.
    ///   - cache: a directory that is made where there is none.
    ///   - environment: `PATH`, `GIT_PAT`, proxies and what else git looks at.
    /// - Throws: `.usage` without a git program, and for an address that holds a password.
    public init(_ url: String, cache: String, environment: [String: String]) throws {
        let scheme = url.prefix { $0 != ":" }.lowercased()
        let authority = url.dropFirst(scheme.utf8.count + 3).prefix { $0 != "/" }
        guard !authority.contains("@") else {
            throw KapsuleError(
                .usage, id: "git.userinfo", "the address of a git repository holds a user name or a password",
                remedy: "leave them out, and set GIT_PAT or use git's credential helper: an address is shown and stored"
            )
        }
        self.url = url
        self.cache = cache
        failure = GitFailure(url: url)
        git = try GitProgram(
            environment: environment, protocols: scheme == "http" ? "http:https" : scheme,
            tokenHost: Self.isConfidential(scheme, authority) ? "\(scheme)://\(authority)" : nil)
    }

    /// Whether what is sent there cannot be read on the way.
    private static func isConfidential(_ scheme: String, _ authority: Substring) -> Bool {
        scheme == "https" || scheme == "http" && WebAddress(parsing: "http://\(authority)/")?.isLoopback == true
    }

    /// The whole commit that `revision` names now: a branch, a tag or a commit; nil for the default branch.
    ///
    /// - Throws: `.unavailable` where it has no such revision, `.usage` where a branch and a tag have one name.
    public func commit(_ revision: String?) throws -> String {
        if let revision, Self.isObjectName(revision) { return revision.lowercased() }
        let names = revision.map { name in
            name.hasPrefix("refs/")
                ? [name, "\(name)^{}"] : ["refs/heads/\(name)", "refs/tags/\(name)", "refs/tags/\(name)^{}"]
        }
        let answer = try git.run(["ls-remote", "--quiet", "--", url] + (names ?? ["HEAD"]), limit: 16 << 20)
        guard answer.isSuccess else { throw failure.error(answer.errors, "look up \(revision ?? "HEAD") of \(url)") }
        var found: [String: String] = [:]
        for line in String(decoding: answer.output, as: UTF8.self).split(separator: "\n") {
            let columns = line.split(separator: "\t")
            guard columns.count == 2, Self.isObjectName(String(columns[0])) else { continue }
            found[String(columns[1])] = String(columns[0])
        }
        guard let names, let revision else {
            guard let head = found["HEAD"] else { throw noRevision("HEAD") }
            return head
        }
        // An annotated tag is an object of its own; what it names has the mark.
        let commits = Set(names.filter { found["\($0)^{}"] == nil }.compactMap { found[$0] })
        guard let commit = commits.first else { throw noRevision(revision) }
        guard commits.count == 1 else {
            throw KapsuleError(
                .usage, id: "git.ambiguous", "\(url) has both a branch and a tag '\(revision)', and they differ",
                remedy: "write refs/heads/\(revision), refs/tags/\(revision) or the commit")
        }
        return commit
    }

    private func noRevision(_ revision: String) -> KapsuleError {
        let isShort = (4..<40).contains(revision.utf8.count) && revision.utf8.allSatisfy(Self.isHexDigit)
        return KapsuleError(
            .unavailable, id: "git.no-revision", "\(url) has no branch and no tag '\(revision)'",
            remedy: isShort
                ? "a commit has to be written out: 40 hex digits"
                : "check the name; git ls-remote \(url) shows what there is")
    }

    static func isObjectName(_ text: String) -> Bool {
        [40, 64].contains(text.utf8.count) && text.utf8.allSatisfy(isHexDigit)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    // MARK: The copy in the cache

    /// The tree of a commit, brought into the cache where it is not there.
    public func tree(at commit: String) throws -> GitTree {
        precondition(Self.isObjectName(commit), "a commit is named in full")
        let copy = try openCopy(for: commit)
        if try !copy.has(commit, type: "commit") { try fetch(commit, into: copy) }
        guard try copy.has(commit, type: "commit") else {
            throw KapsuleError(
                .usage, id: "git.not-a-commit", "\(commit.prefix(12)) of \(url) is not a commit",
                remedy: "name the commit itself: git ls-remote \(url) shows it")
        }
        let answer = try copy.run(["ls-tree", "-r", "-z", "--full-tree", commit], limit: GitTree.longestList)
        guard answer.isSuccess else { throw failure.error(answer.errors, "list the files of \(url)") }
        return GitTree(copy: copy, commit: commit, entries: try GitTree.Entry.list(answer.output, of: url))
    }

    private func openCopy(for commit: String) throws -> GitCopy {
        let format = commit.utf8.count == 40 ? "sha1" : "sha256"
        let copy = GitCopy(self, path: "\(cache)/\(Self.folder(url))-\(format)")
        try Directories.make(cache, mode: 0o700)
        // Two builds share one copy; git itself keeps them apart, but not while it is made.
        let lock = try FileLock("\(copy.path).lock", .exclusive)
        try withExtendedLifetime(lock) {
            if try FileStatus.of("\(copy.path)/kapsule-complete", followsLinks: false) == nil { try copy.make(format) }
        }
        return copy
    }

    private func fetch(_ commit: String, into copy: GitCopy) throws {
        let answer = try copy.run(
            [
                "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--no-auto-gc",
                "--recurse-submodules=no", "--filter=blob:none", "origin", commit,
            ])
        guard !answer.isSuccess else { return }
        let said = answer.errors.lowercased()
        if ["not our ref", "unadvertised object", "remote ref", "no such object"].contains(where: said.contains) {
            throw KapsuleError(
                .unavailable, id: "git.no-commit", "\(url) has no commit \(commit)",
                remedy: "check the commit, and that it was pushed to this repository")
        }
        throw failure.error(answer.errors, "fetch commit \(commit.prefix(12)) of \(url)")
    }
}
