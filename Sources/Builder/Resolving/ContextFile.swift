public import KapsuleCore
internal import KapsuleIO
internal import Store
internal import Synchronization

/// A file of the context, as it was when the build was decided. Opened when it is first read.
///
/// A large file is held open, so that sinks can clone it; of small ones there may be more than a process may open.
public final class ContextFile: ByteSource {
    /// Files from this size on are held open, in bytes.
    static let holdsOpenFrom: Int64 = 16 << 20

    private let path: String
    private let status: FileStatus
    private let cache: DigestCache?
    public let digest: Digest?
    private let held = Mutex<FileSource?>(nil)

    /// - Parameters:
    ///   - path: where it is, every link resolved.
    ///   - status: what the file system said when the build was decided.
    ///   - cache: knows the digests of files that have not changed since they were hashed.
    init(path: String, status: FileStatus, cache: DigestCache?) {
        self.path = path
        self.status = status
        self.cache = cache
        digest = cache?.contentDigest(of: path, status)
    }

    public var size: Int64 { status.size }
    public var isWatched: Bool { true }

    public var backing: ByteBacking {
        guard size >= Self.holdsOpenFrom, let source = try? opened() else { return .stream }
        return source.backing
    }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try opened().read(range, into: &sink)
    }

    /// Tells the cache what the file's bytes came out as.
    ///
    /// - Parameter start: when reading began, in nanoseconds since 1970. A file written to later is not remembered.
    func remember(_ digest: Digest, hashedFrom start: Int64) {
        if digest != self.digest { cache?.record(digest, of: path, status, hashedFrom: start) }
    }

    /// The file, which must be the one the build was decided with.
    private func opened() throws -> FileSource {
        try held.withLock { held in
            if let held { return held }
            let source = try FileSource(path: path)
            guard source.status.isSameContent(as: status) else {
                throw KapsuleError(
                    .unavailable, id: "source.changed", "\(path) changed while the build was running",
                    remedy: "wait until nothing writes to it, then run the command again")
            }
            if size >= Self.holdsOpenFrom { held = source }
            return source
        }
    }
}
