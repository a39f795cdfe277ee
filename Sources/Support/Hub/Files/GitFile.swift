internal import HTTP
internal import KapsuleCore
internal import KapsuleCrypto
internal import Synchronization

/// A file in git itself: some kilobytes as a rule, 10 MB at most. Fetched as a whole, and checked against its git name
/// before a byte is handed out.
final class GitFile: ByteSource {
    /// Longest that is held in memory, in bytes. What is longer is no file that a hub would keep in git.
    private static let longest: Int64 = 32 << 20
    /// How often bytes are fetched that are not what git calls them.
    private static let tries = 3

    private let entry: HubEntry
    private let gitName: String
    private let reader: HubReader
    private let cached: CachedBlob?
    /// Once the content was seen, or remembered from an earlier run.
    private let known: Mutex<Digest?>

    init(_ entry: HubEntry, gitName: String, reader: HubReader, cached: CachedBlob?) {
        self.entry = entry
        self.gitName = gitName
        self.reader = reader
        self.cached = cached
        known = Mutex(reader.memory.recall(gitName, entry.size))
    }

    var size: Int64 { entry.size }
    var digest: Digest? { known.withLock { $0 } }
    var backing: ByteBacking { .stream }
    var gitBlobName: String? { gitName }
    var place: BytePlace { cached == nil ? .elsewhere : .cache }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        guard !range.isEmpty || size == 0 else { return }
        try MemorySource(try reader.content(of: self, entry)).read(range, into: &sink)
    }

    /// All of it, checked.
    func content() throws -> [UInt8] {
        guard size <= Self.longest else {
            throw KapsuleError(
                .unverified, id: "hub.not-lfs",
                "\(reader.name(of: entry)) has \(ByteCount.text(size)), and nothing but its git name to prove them",
                remedy: "check HF_ENDPOINT: the hub keeps such files in large storage, and gives their SHA-256")
        }
        if let cached, let bytes = try? cached.source().readAll(limit: size, what: "a cached file"), isRight(bytes) {
            return remembered(bytes)
        }
        var bytes: [UInt8] = []
        for _ in 0..<(reader.client.settings.isOffline ? 0 : Self.tries) {
            bytes = try fetch()
            if isRight(bytes) { return remembered(bytes) }
        }
        throw KapsuleError(
            .unverified, id: "content.mismatch",
            "\(reader.name(of: entry)) is not what git has at commit \(reader.commit.prefix(12)): expected \(gitName), got "
                + "\(GitBlobHasher.name(of: bytes)), \(bytes.count) of \(size) bytes",
            remedy: "run the build again; if it happens again, the source or something on the way changes it")
    }

    private func isRight(_ bytes: [UInt8]) -> Bool {
        Int64(bytes.count) == size && GitBlobHasher.name(of: bytes) == gitName
    }

    private func remembered(_ bytes: [UInt8]) -> [UInt8] {
        guard digest == nil else { return bytes }
        let digest = Digest.of(bytes)
        known.withLock { $0 = digest }
        reader.memory.remember(gitName, Artifact(digest: digest, size: size))
        return bytes
    }

    /// One whole answer; too long a one is cut after the first byte too many.
    private func fetch() throws -> [UInt8] {
        let client = reader.client
        return try client.settings.retry.run { attempt in
            var sink = MemorySink()
            let response: HTTPResponse
            do {
                response = try client.transport.fetch(
                    client.request(reader.url(of: entry)),
                    redirected: { response, _ in try reader.checkCommit(response, entry) },
                    accepting: { response in
                        try reader.checkCommit(response, entry)
                        return response.status == 200
                    },
                    deliver: { bytes in
                        sink.write(bytes.extracting(first: min(bytes.count, Int(size) + 1 - sink.bytes.count)))
                        if sink.bytes.count > size { throw IsTooLong() }
                    })
            } catch is IsTooLong {
                return sink.bytes
            }
            guard response.status == 200 else {
                attempt.heard(response)
                throw reader.refusal(response, entry)
            }
            return sink.bytes
        }
    }

    private struct IsTooLong: Error {}
}
