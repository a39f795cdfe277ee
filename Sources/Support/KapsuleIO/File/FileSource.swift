public import KapsuleCore

/// A regular file as it was when it was opened.
///
/// A file that shrinks, grows or is written to while it is read is an error, not a silent mixture: after the last
/// byte of every read the file's status is compared with that of the opening.
public struct FileSource: ByteSource {
    /// Bytes that one call of a sink gets at most: as much as a device likes to be given at once, and little enough to stay
    /// in a cache between reading and hashing.
    public static let blockSize = 512 << 10
    private static let blocks = SpareBlocks(blockSize: blockSize)

    public let file: OpenFile
    /// When it was opened.
    public let status: FileStatus
    public let digest: Digest?
    private let keepsItsName: Bool

    /// - Parameter keepsItsName: false where others may give the file further names or take them away, as happens to
    ///   blobs: that moves the time of its last change, which then says nothing of its content.
    public init(_ file: OpenFile, digest: Digest? = nil, keepsItsName: Bool = true) throws {
        self.file = file
        self.status = try file.status()
        self.digest = digest
        self.keepsItsName = keepsItsName
    }

    public init(path: String, digest: Digest? = nil) throws {
        try self.init(OpenFile.reading(path), digest: digest)
    }

    public var size: Int64 { status.size }
    public var backing: ByteBacking { .file(descriptor: file.descriptor, offset: 0) }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        let block = Self.blocks.take()
        defer { Self.blocks.giveBack(block) }
        var offset = range.lowerBound
        while offset < range.upperBound {
            try Task.checkNotInterrupted()
            block.clear()
            let count = try file.read(at: offset, into: block, limit: Int(clamping: range.upperBound - offset))
            guard count > 0 else { throw changed("it ends at byte \(offset) and had \(size) bytes") }
            try block.withBytes { try sink.write($0) }
            offset += Int64(count)
        }
        try checkUnchanged()
    }

    /// Whether the file is still as it was when it was opened. `read` asks this itself; whoever lets the kernel copy
    /// asks it afterwards.
    ///
    /// - Throws: `.unavailable` when it is not.
    public func checkUnchanged() throws {
        let now = try file.status()
        let isSame =
            keepsItsName
            ? now.isSameContent(as: status) : now.size == status.size && now.modified == status.modified
        guard isSame else { throw changed("it was written to") }
    }

    private func changed(_ how: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "source.changed", "\(file.path) changed while it was read: \(how)",
            remedy: "wait until nothing writes to it, then run the command again")
    }
}
