public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A blob on its way into a layout, hashed as it is written. It has no name, and is gone when it is let go uncommitted; but
/// for one that a further run can go on with.
///
/// Used by one thread at a time.
public final class BlobWriter: ByteSink {
    private let layout: ImageLayout
    private let atomic: AtomicFile
    private var sink: DirectFileSink
    private var hasher = HashingSink()
    private let hashes: Bool
    private var reserved: Int64 = 0

    /// - Parameters:
    ///   - hashes: whether the bytes are hashed here; else whoever writes them vouches for their digest.
    ///   - key: what is left of it is kept under this one; nil for nothing.
    init(_ layout: ImageLayout, hashes: Bool, key: Digest? = nil) throws {
        self.layout = layout
        self.hashes = hashes
        atomic = try AtomicFile(
            continuing: try key.flatMap { try PartialFile.open(ImageLayout.partialName($0), in: layout.path) },
            in: layout.blobDirectory, mode: ImageLayout.blobMode)
        sink = DirectFileSink(atomic.file)
    }

    /// Bytes so far.
    public var count: Int64 { sink.offset }

    /// Takes room for `size` bytes on the device, so that a disk that is too full says so now.
    ///
    /// - Throws: `.noSpace`.
    public func reserve(_ size: Int64) throws {
        try atomic.file.reserve(size)
        reserved = max(reserved, size)
        sink.expect(size)
    }

    public func write(_ bytes: Span<UInt8>) throws {
        if hashes { hasher.write(bytes) }
        try sink.write(bytes)
    }

    public func append(_ source: some ByteSource) throws {
        // Every byte has to pass here to be hashed, so there is nothing to clone.
        var writer = self
        try source.read(0..<source.size, into: &writer)
    }

    /// Gives the blob its name.
    ///
    /// A blob of that name and size that is there already stays as it is.
    ///
    /// - Throws: `.unverified` when `expected` is given and is not what was written.
    @discardableResult
    public func commit(expecting expected: Artifact? = nil) throws -> Artifact {
        precondition(hashes, "a writer that does not hash is committed with a digest")
        let made = Artifact(digest: hasher.finalize(), size: sink.offset)
        if let expected, made != expected {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "a blob for \(layout.path) is not what was promised: expected \(expected.digest) of "
                    + "\(expected.size) bytes, got \(made.digest) of \(made.size) bytes",
                remedy: "fetch or build it again; if it happens again, the source itself is damaged")
        }
        try publish(made)
        return made
    }

    /// Gives the blob the name that the one who wrote and hashed the bytes vouches for.
    public func commit(vouchedFor digest: Digest) throws { try publish(Artifact(digest: digest, size: sink.offset)) }

    private func publish(_ blob: Artifact) throws {
        try sink.finish()
        if try reserved > sink.offset || atomic.file.status().size > sink.offset {
            try atomic.file.truncate(to: sink.offset)
        }
        // Before it has its name: a power failure leaves no blob with a good name that is short or full of zeros.
        try atomic.file.synchronize()
        // A file of another size under this name is damage, such as other tools leave: this one replaces it.
        let path = layout.path(of: blob.digest)
        let isDamaged = try FileStatus.of(path, followsLinks: true).map { $0.size != blob.size } ?? false
        try atomic.commit(as: path, existing: isDamaged ? .replace : .keep)
    }

    /// Leaves nothing for a further run.
    public func discard() {
        sink.abandon()
        atomic.discard()
    }

    /// Gives up; what is hardly begun is not worth keeping for a further run.
    public func abandon() {
        try? sink.finish()
        if (try? atomic.file.status().size) ?? 0 < ImageLayout.smallestPartial { discard() }
    }
}
