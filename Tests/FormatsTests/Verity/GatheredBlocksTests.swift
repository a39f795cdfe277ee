import KapsuleCore
import Synchronization
import TestSupport
import Testing

@testable import Formats

/// Counts what is written to it.
private final class CountingStorage: ImageStorage {
    let inner = MemoryStorage()
    private let writes = Mutex(0)
    var count: Int { writes.withLock(\.self) }

    func write(_ bytes: Span<UInt8>, at offset: Int64) throws {
        writes.withLock { $0 += 1 }
        try inner.write(bytes, at: offset)
    }

    func read(at offset: Int64, count: Int) throws -> [UInt8] { try inner.read(at: offset, count: count) }
}

@Suite struct GatheredBlocksTests {
    private func block(_ value: Int) -> [UInt8] {
        (0..<4096).map { UInt8(truncatingIfNeeded: $0 ^ value ^ value >> 8) }
    }

    @Test func blocksInOrderAreWrittenTogether() throws {
        let storage = CountingStorage()
        let blocks = GatheredBlocks(storage, at: 8192, count: 100)
        for index in 0..<100 { try blocks.write(block(index), at: Int64(index)) }
        #expect(storage.count == 4)
        #expect(Array(storage.inner.contents.dropFirst(8192)) == (0..<100).flatMap(block))
    }

    /// More groups are begun than may wait, and blocks come twice: the last ones count, and are what is read.
    @Test(arguments: [1, 2, 3]) func inAnyOrderTheLastOnesCount(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let storage = CountingStorage()
        let count = 2500
        let blocks = GatheredBlocks(storage, at: 0, count: Int64(count))
        var expected = [Int?](repeating: nil, count: count)
        let order = (Array(0..<count) + (0..<count).filter { $0 % 3 == 0 }).shuffled(using: &generator)
        for (turn, index) in order.enumerated() {
            try blocks.write(block(turn), at: Int64(index))
            expected[index] = turn
            let other = Int.random(in: 0..<count, using: &generator)
            if let known = expected[other] { #expect(try blocks.read(Int64(other)) == block(known)) }
        }
        try blocks.flush()
        #expect(storage.inner.contents == expected.flatMap { block($0!) })
    }
}
