public import KapsuleCore

/// Hears of an archive as it comes: for each entry `begin`, the content in order, `end`.
public protocol TarHandler {
    mutating func begin(_ entry: TarEntry) throws
    /// A part of the content of the entry begun last; called for files only.
    mutating func content(_ bytes: Span<UInt8>) throws
    mutating func end() throws
}

/// Reads an archive from a stream: a sink that calls a handler.
///
/// Reads ustar, pax, GNU and version 7 archives. Content is passed on uncopied; what is held is one header block or one
/// extended header. What follows the end mark is let through unread, as tar does.
public struct TarReader<Handler: TarHandler>: ByteSink {
    public var handler: Handler

    private enum State {
        case header
        case extended(size: Int64)
        /// Bytes of content still to come.
        case content(left: Int64)
        case skip(left: Int64)
        /// One block of zeros came.
        case firstZeros
        case ended
    }

    private var decoder: TarDecoder
    private var state = State.header
    /// Zeros to the next block, after what `state` waits for.
    private var padding: Int64 = 0
    private var block: [UInt8] = []
    /// Bytes so far.
    private var offset: Int64 = 0

    /// - Parameter what: names the archive in errors: `layer sha256:9f86… of ghcr.io/acme/m:7b`.
    public init(_ handler: Handler, what: String) {
        self.handler = handler
        decoder = TarDecoder(what: what)
        block.reserveCapacity(TarHeader.blockSize)
    }

    /// - Throws: `.unverified` for what is not an archive, and whatever the handler throws.
    public mutating func write(_ bytes: Span<UInt8>) throws {
        var rest = 0..<bytes.count
        while !rest.isEmpty {
            let taken = try take(bytes.extracting(rest))
            offset += Int64(taken)
            rest = rest.lowerBound + taken..<rest.upperBound
        }
    }

    /// All bytes have come.
    ///
    /// - Throws: `.unverified` when the archive's end mark has not.
    public mutating func finish() throws {
        switch state {
        case .ended: return
        // One block of zeros is what remains when an archive was cut to whole records; GNU tar accepts it.
        case .firstZeros where block.isEmpty: return
        default: throw decoder.problem.truncated(at: offset)
        }
    }

    /// Uses some of `bytes`, which are not empty. Returns how many.
    private mutating func take(_ bytes: Span<UInt8>) throws -> Int {
        switch state {
        case .ended: return bytes.count
        case .content(let left) where left > 0:
            let count = Int(min(left, Int64(bytes.count)))
            try handler.content(bytes.extracting(first: count))
            try contentCame(left: left - Int64(count))
            return count
        case .skip(let left) where left > 0:
            let count = Int(min(left, Int64(bytes.count)))
            state = .skip(left: left - Int64(count))
            return count
        case .content, .skip:
            let count = Int(min(padding, Int64(bytes.count)))
            padding -= Int64(count)
            if padding == 0 { state = .header }
            return count
        case .header, .firstZeros:
            let count = fill(from: bytes, upTo: TarHeader.blockSize)
            if block.count == TarHeader.blockSize { try headerCame(at: offset + Int64(count - block.count)) }
            return count
        case .extended(let size):
            let count = fill(from: bytes, upTo: Int(size))
            if block.count == Int(size) {
                try decoder.take(block, at: offset + Int64(count) - size)
                skip(0, padding: TarHeader.padding(after: size))
            }
            return count
        }
    }

    private mutating func fill(from bytes: Span<UInt8>, upTo size: Int) -> Int {
        let count = min(size - block.count, bytes.count)
        for index in 0..<count { block.append(bytes[index]) }
        return count
    }

    private mutating func headerCame(at start: Int64) throws {
        let step = try decoder.header(block, at: start)
        block.removeAll(keepingCapacity: true)
        switch (step, state) {
        case (.zeros, .firstZeros): state = .ended
        case (.zeros, _): state = .firstZeros
        case (_, .firstZeros):
            throw decoder.problem.malformed("an entry follows a block of zeros", at: start)
        // Nothing would come to take the content of an empty header away.
        case (.extended(0), _): try decoder.take([], at: start)
        case (.extended(let size), _): state = .extended(size: size)
        case (.skip(let size), _): skip(size, padding: TarHeader.padding(after: size))
        case (.entry(let entry), _):
            padding = TarHeader.padding(after: entry.size)
            try handler.begin(entry)
            try contentCame(left: entry.size)
        }
    }

    private mutating func contentCame(left: Int64) throws {
        state = .content(left: left)
        guard left == 0 else { return }
        try handler.end()
        if padding == 0 { state = .header }
    }

    private mutating func skip(_ size: Int64, padding: Int64) {
        block.removeAll(keepingCapacity: true)
        self.padding = padding
        state = size == 0 && padding == 0 ? .header : .skip(left: size)
    }
}
