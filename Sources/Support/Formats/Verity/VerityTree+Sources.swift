public import KapsuleCore
internal import Synchronization

extension VerityTree {
    /// Bytes that one task reads and hashes: eight blocks of level 0, and small beside a second-level cache.
    static let stride: Int64 = 4 << 20

    /// Adds all of `data`, whose length is the tree's, with `workers` ranges of it at one time.
    ///
    /// Blocks the threads it runs on: enter an executor whose threads may block first.
    public func addAll(of data: some ByteSource, workers: Int) async throws {
        precondition(data.size == geometry.dataBlocks * Int64(VerityGeometry.blockSize), "a tree is over all its data")
        try await inRanges(of: data.size, stride: Self.stride, workers: workers) { range in
            var sink = VeritySink(self, at: range.lowerBound)
            try data.read(range, into: &sink)
            precondition(sink.isAtBlock, "a source gives what it was asked for")
        }
    }
}

/// Adds bytes to a tree in order, from a block on: gathers them to whole blocks.
public struct VeritySink: ByteSink {
    private let tree: VerityTree
    /// Where the next byte stands, from the start of the data.
    public private(set) var offset: Int64
    /// The beginning of a block.
    private var pending: [UInt8] = []

    /// - Parameter offset: a multiple of the block size.
    public init(_ tree: VerityTree, at offset: Int64) {
        precondition(offset % Int64(VerityGeometry.blockSize) == 0, "hashing starts at a block")
        self.tree = tree
        self.offset = offset
    }

    /// Whether all bytes so far are hashed.
    public var isAtBlock: Bool { pending.isEmpty }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        let blockSize = VerityGeometry.blockSize
        var taken = 0
        if !pending.isEmpty {
            taken = min(blockSize - pending.count, bytes.count)
            for index in 0..<taken { pending.append(bytes[index]) }
            if pending.count == blockSize {
                try tree.add(pending.span, at: offset / Int64(blockSize))
                offset += Int64(blockSize)
                pending.removeAll(keepingCapacity: true)
            }
        }
        let whole = (bytes.count - taken) / blockSize * blockSize
        if whole > 0 {
            try tree.add(bytes.extracting(taken..<taken + whole), at: offset / Int64(blockSize))
            offset += Int64(whole)
        }
        for index in taken + whole..<bytes.count { pending.append(bytes[index]) }
    }

    /// Fills the last block up with zeros.
    public mutating func finish() throws {
        guard !pending.isEmpty else { return }
        let missing = VerityGeometry.blockSize - pending.count
        try write([UInt8](repeating: 0, count: missing).span)
    }
}

/// Runs `body` for every range of `stride` bytes of `size`, ascending, with `workers` at one time, until `isEnough`: then
/// no further range begins.
///
/// The first error stops what has not begun, and is thrown when what has begun has ended.
func inRanges(
    of size: Int64, stride: Int64, workers: Int, isEnough: @escaping @Sendable () -> Bool = { false },
    _ body: @escaping @Sendable (Range<Int64>) throws -> Void
) async throws {
    precondition(workers > 0, "somebody works")
    let ranges = RangeQueue(size: size, stride: stride)
    try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<workers {
            group.addTask {
                while !isEnough(), let range = ranges.next() {
                    try Task.checkCancellation()
                    try body(range)
                }
            }
        }
        try await group.waitForAll()
    }
}

/// Ranges that workers take in turn: none waits for another, or for whoever hands them out.
private final class RangeQueue: Sendable {
    private let size: Int64
    private let stride: Int64
    private let taken = Atomic<Int64>(0)

    init(size: Int64, stride: Int64) {
        self.size = size
        self.stride = stride
    }

    func next() -> Range<Int64>? {
        let start = taken.add(stride, ordering: .relaxed).oldValue
        return start < size ? start..<min(start + stride, size) : nil
    }
}
