internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

extension GitRepository {
    /// The name of a repository's folder in the cache.
    static func folder(_ url: String) -> String { String(Digest.of(url).hex.prefix(32)) }
}

/// The copy of a repository in the cache.
struct GitCopy: Sendable {
    let repository: GitRepository
    let path: String

    init(_ repository: GitRepository, path: String) {
        self.repository = repository
        self.path = path
    }

    /// - Parameter format: `sha1` or `sha256`.
    func make(_ format: String) throws {
        let settings = [
            ("remote.origin.url", repository.url), ("core.repositoryFormatVersion", "1"),
            ("extensions.partialClone", "origin"), ("remote.origin.promisor", "true"),
            ("remote.origin.partialCloneFilter", "blob:none"),
        ]
        try check(["init", "--quiet", "--bare", "--template=", "--object-format=\(format)", path])
        for (key, value) in settings { try check(["--git-dir=\(path)", "config", key, value]) }
        try AtomicFile.write([], to: "\(path)/kapsule-complete")
    }

    private func check(_ arguments: [String]) throws {
        let answer = try repository.git.run(arguments)
        guard answer.isSuccess else {
            throw KapsuleError(
                .unavailable, id: "git.cache", "cannot prepare \(path): \(answer.errors.prefix(300))",
                remedy: "remove that folder, and check that git is 2.36 or newer")
        }
    }

    func run(_ arguments: [String], input: [UInt8] = [], limit: Int = 1 << 20) throws -> GitProgram.Answer {
        try repository.git.run(["--git-dir=\(path)"] + arguments, input: input, limit: limit)
    }

    func stream(_ arguments: [String], deliver: (Span<UInt8>) throws -> Void) throws -> GitProgram.Answer {
        try repository.git.stream(["--git-dir=\(path)"] + arguments, deliver: deliver)
    }

    /// Whether the object is here, without asking the server for it.
    func has(_ name: String, type: String) throws -> Bool {
        // Asked for all at once, git looks at what is here and fetches nothing.
        guard try present().contains(name) else { return false }
        let answer = try run(["cat-file", "-t", name])
        return answer.isSuccess && String(decoding: answer.output, as: UTF8.self) == "\(type)\n"
    }

    /// Names of all objects that are here.
    func present() throws -> Set<String> {
        let answer = try run(
            ["cat-file", "--batch-check=%(objectname)", "--batch-all-objects", "--unordered", "--buffer"],
            limit: GitTree.longestList)
        guard answer.isSuccess else { throw repository.failure.error(answer.errors, "look into \(path)") }
        return Set(String(decoding: answer.output, as: UTF8.self).split(separator: "\n").map(String.init))
    }
}
