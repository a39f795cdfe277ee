internal import KapsuleCore

/// Takes numbers and text from a source, front to back, and holds one block of it.
///
/// The first block is small, because most headers are; each further one is twice as long, because every block of a remote
/// source is a request.
struct SourceCursor {
    /// In bytes.
    private static let firstBlock = 64 << 10
    private static let largestBlock = 4 << 20

    /// Names the source in errors.
    let what: String
    /// Begins the id of errors: `gguf`.
    let format: String
    /// Most bytes of the source that are read, from its start.
    let limit: Int64
    /// Where the part that is read ends, from the start of the source.
    var end: Int64
    /// Whether numbers have their most significant byte first.
    var isBigEndian = false
    /// The next byte to be taken, from the start of the source.
    private(set) var position: Int64 = 0

    private let source: any ByteSource
    private var block: [UInt8] = []
    private var blockStart: Int64 = 0
    private var nextBlock = SourceCursor.firstBlock

    init(_ source: any ByteSource, what: String, format: String, limit: Int64) {
        self.source = source
        self.what = what
        self.format = format
        self.limit = limit
        end = source.size
    }

    /// Bytes after `position`.
    var left: Int64 { end - position }

    func refusal(_ id: String, _ why: String, remedy: String? = nil) -> KapsuleError {
        KapsuleError(.unverified, id: "\(format).\(id)", "\(what) \(why)", remedy: remedy)
    }

    // MARK: Taking

    /// - Parameter part: what is being read, for the error: `the name of tensor 7`.
    /// - Throws: `.unverified` when the source ends before.
    mutating func number<T: FixedWidthInteger>(_ part: @autoclosure () -> String) throws -> T {
        let size = T.bitWidth / 8
        try fill(size, part)
        var offset = Int(position - blockStart)
        var value: T = 0
        for index in 0..<size {
            let shift = T(truncatingIfNeeded: 8 * (isBigEndian ? size - 1 - index : index))
            value |= T(truncatingIfNeeded: block[offset]) &<< shift
            offset += 1
        }
        position += Int64(size)
        return value
    }

    /// - Parameter count: at most as many bytes as the caller is ready to hold.
    mutating func bytes(_ count: Int, _ part: @autoclosure () -> String) throws -> ArraySlice<UInt8> {
        try fill(count, part)
        let offset = Int(position - blockStart)
        position += Int64(count)
        return block[offset..<offset + count]
    }

    /// The next byte, which stays the next; nil at the end.
    mutating func peek() throws -> UInt8? {
        let offset = Int(position - blockStart)
        if offset >= 0, offset < block.count { return position < end ? block[offset] : nil }
        guard position < end else { return nil }
        try fill(1, { "" })
        return block[Int(position - blockStart)]
    }

    /// Takes the byte that `peek` showed.
    mutating func advance() { position += 1 }

    /// Goes on `count` bytes further without reading them.
    mutating func skip(_ count: Int64, _ part: @autoclosure () -> String) throws {
        guard count <= left else { throw truncated(part()) }
        position += count
    }

    // MARK: Blocks

    private mutating func fill(_ count: Int, _ part: () -> String) throws {
        let offset = Int(position - blockStart)
        if offset >= 0, offset <= block.count, block.count - offset >= count { return }
        guard Int64(count) <= left else { throw truncated(part()) }
        guard position + Int64(count) <= limit else {
            throw refusal("header-too-long", "has a header of more than \(ByteCount.text(limit)), which no model has")
        }
        let size = min(Int64(max(count, nextBlock)), left)
        var sink = BlockSink(capacity: Int(size))
        block = []
        try source.read(position..<position + size, into: &sink)
        guard sink.bytes.count == Int(size) else { throw truncated(part()) }
        block = sink.bytes
        blockStart = position
        nextBlock = min(nextBlock * 2, Self.largestBlock)
    }

    private func truncated(_ part: String) -> KapsuleError {
        refusal(
            "truncated", "ends at byte \(source.size), within \(part)",
            remedy: "the file was cut short: fetch it again")
    }
}

/// Keeps a block, whose size is known before.
private struct BlockSink: ByteSink {
    var bytes: [UInt8] = []

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    mutating func write(_ part: Span<UInt8>) {
        for index in part.indices { bytes.append(part[index]) }
    }
}
