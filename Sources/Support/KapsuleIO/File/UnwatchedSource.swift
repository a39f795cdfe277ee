public import KapsuleCore

/// The first bytes of a file of ours, while others of our threads write elsewhere in it. A file that nobody of ours writes
/// to is a `FileSource`, which sees changes.
public struct UnwatchedSource: ByteSource {
    private let file: OpenFile
    public let size: Int64

    public init(_ file: OpenFile, size: Int64) {
        self.file = file
        self.size = size
    }

    public var backing: ByteBacking { .stream }

    /// - Throws: `.unavailable` when the file has become shorter.
    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        var block = [UInt8](repeating: 0, count: FileSource.blockSize)
        var offset = range.lowerBound
        while offset < range.upperBound {
            try Task.checkNotInterrupted()
            let wanted = Int(min(Int64(block.count), range.upperBound - offset))
            let count = try file.read(at: offset, into: &block, limit: wanted)
            guard count > 0 else {
                throw KapsuleError(
                    .unavailable, id: "source.changed", "\(file.path) became shorter while it was read",
                    remedy: "run the command again")
            }
            try sink.write(block.span.extracting(first: count))
            offset += Int64(count)
        }
    }
}
