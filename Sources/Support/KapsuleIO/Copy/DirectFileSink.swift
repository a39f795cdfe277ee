public import KapsuleCore

/// Bytes in order on their way into a file. What is large is written past the page cache, by a thread of its own; what is
/// small as it comes. When it is let go unfinished, what has come is in the file.
///
/// Used by one thread at a time.
public final class DirectFileSink: ByteSink {
    /// One being filled, one being written, one between: what a killed process loses.
    private static let blocks = 3
    /// In bytes.
    private static let blockSize = 512 << 10

    public let file: OpenFile
    /// Where the next byte goes, from the start of the file.
    public private(set) var offset: Int64
    private var size: Int64
    private var pipe: PipedSink<Void>?

    /// - Parameter size: that the file will have at least, in bytes.
    public init(_ file: OpenFile, at offset: Int64 = 0, size: Int64 = 0) {
        self.file = file
        self.offset = offset
        self.size = size
    }

    /// The file will have `size` bytes at least.
    public func expect(_ size: Int64) { self.size = max(self.size, size) }

    public func write(_ bytes: Span<UInt8>) throws {
        if pipe == nil, size - offset >= DirectFile.smallest {
            // What the thread writes begins at a block.
            let alignment = Int64(ByteBlock.alignment)
            let head = min(bytes.count, Int((alignment - offset % alignment) % alignment))
            if head > 0 { try writeAtOnce(bytes.extracting(first: head)) }
            guard head < bytes.count else { return }
            pipe = startPipe()
            return try write(bytes.extracting(droppingFirst: head))
        }
        guard let pipe else { return try writeAtOnce(bytes) }
        try pipe.write(bytes)
        offset += Int64(bytes.count)
    }

    public func append(_ source: some ByteSource) throws {
        if pipe == nil, try clone(source) { return }
        guard pipe == nil, size - offset < DirectFile.smallest else {
            var sink = self
            return try source.read(0..<source.size, into: &sink)
        }
        var sink = FileSink(file, at: offset)
        try sink.append(source)
        offset = sink.offset
    }

    /// Takes all of `source` as a clone, where nothing has been written, it is a file and the file system can. Says whether
    /// it did.
    public func clone(_ source: any ByteSource) throws -> Bool {
        guard pipe == nil else { return false }
        var sink = FileSink(file, at: offset)
        let isCloned = try sink.clone(source)
        offset = sink.offset
        return isCloned
    }

    private func writeAtOnce(_ bytes: Span<UInt8>) throws {
        try file.write(bytes, at: offset)
        offset += Int64(bytes.count)
    }

    private func startPipe() -> PipedSink<Void> {
        let (direct, start) = (DirectFile(file, size: size), offset)
        return PipedSink(blocks: Self.blocks, blockSize: Self.blockSize) { reader in
            var place = start
            try reader.forEachBlock { block in
                try direct.write(block, at: place)
                place += Int64(block.count)
            }
        }
    }

    /// Waits until all bytes are in the file.
    public func finish() throws {
        try pipe?.finish()
        pipe = nil
    }

    deinit { _ = try? pipe?.finish() }

    /// No more bytes come; those that came last may be missing.
    public func abandon() {
        pipe?.abandon()
        pipe = nil
    }
}
