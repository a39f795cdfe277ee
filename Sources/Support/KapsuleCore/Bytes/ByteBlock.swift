internal import Synchronization

/// A block of memory with bytes at its front, on its way from one thread to another.
// Owned by one thread at a time, or read by several and written by none: whoever hands it over does so under a lock.
@safe
public final class ByteBlock: @unchecked Sendable {
    /// In bytes.
    public let capacity: Int
    /// Begins at a multiple of `alignment`.
    private let memory: UnsafeMutablePointer<UInt8>
    /// Of a page: what a device may be given without a copy. In bytes.
    public static let alignment = 4096
    /// Bytes that are in it.
    public private(set) var count = 0

    public init(capacity: Int) {
        self.capacity = capacity
        let room = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: Self.alignment)
        unsafe memory = room.bindMemory(to: UInt8.self, capacity: capacity)
    }

    deinit { unsafe memory.deallocate() }

    public var isFull: Bool { count == capacity }

    public func clear() { count = 0 }

    /// Takes as much of `bytes` as fits; says how much that was.
    public func fill(_ bytes: Span<UInt8>) -> Int {
        let taken = min(bytes.count, capacity - count)
        unsafe bytes.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe (memory + count).update(from: start, count: taken)
        }
        count += taken
        return taken
    }

    /// Lets `body` write into the room behind what is in it, `limit` bytes at most, and say how many it wrote.
    public func fill(upTo limit: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) throws -> Int) rethrows -> Int {
        // The memory has `capacity` bytes, of which `count` are filled.
        let room = unsafe UnsafeMutableBufferPointer(start: memory + count, count: min(limit, capacity - count))
        let taken = try unsafe body(room)
        precondition(taken <= room.count, "a block holds what is read into it")
        count += taken
        return taken
    }

    /// Shows what is in it.
    public func withBytes<T>(_ body: (Span<UInt8>) throws -> T) rethrows -> T {
        // `count` bytes of the memory have been filled.
        try body(unsafe UnsafeBufferPointer(start: memory, count: count).span)
    }

    /// Copies bytes from `offset` on; says how many.
    public func copy(from offset: Int, into buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let taken = min(buffer.count, count - offset)
        unsafe buffer.baseAddress!.update(from: memory + offset, count: taken)
        return taken
    }
}

/// Blocks of one size that are used again and again: fresh memory costs a page fault for every 4 KiB.
///
/// Does not bound how many there are: whoever takes them does.
public final class SpareBlocks: Sendable {
    /// In bytes.
    public let blockSize: Int
    private let free = Mutex<[ByteBlock]>([])

    public init(blockSize: Int) { self.blockSize = blockSize }

    /// An empty block.
    public func take() -> ByteBlock {
        guard let block = free.withLock({ $0.popLast() }) else { return ByteBlock(capacity: blockSize) }
        block.clear()
        return block
    }

    public func giveBack(_ blocks: [ByteBlock]) { free.withLock { $0 += blocks } }
    public func giveBack(_ block: ByteBlock) { free.withLock { $0.append(block) } }
}
