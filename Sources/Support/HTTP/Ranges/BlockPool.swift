internal import Dispatch
internal import KapsuleCore
internal import Synchronization

/// Memory for pieces that are fetched before their turn, with one bound for all transfers that share it.
///
/// A piece reserves all it can need before it is asked for, so a piece on its way never waits for memory; one that
/// cannot reserve is not fetched ahead, and streams when its turn has come. So nothing here can wait for ever.
public final class BlockPool: Sendable {
    /// The pool of the process, 9 MiB: room for three pieces beside the one that streams.
    public static let shared = BlockPool(capacity: 9 << 20)

    /// In bytes.
    private static let blockSize = 512 << 10

    private struct State {
        var reserved = 0
        var waiting: [DispatchSemaphore] = []
    }

    /// In blocks.
    private let capacity: Int
    private let state = Mutex(State())
    private let spare = SpareBlocks(blockSize: blockSize)

    /// - Parameter capacity: in bytes.
    public init(capacity: Int) { self.capacity = capacity / Self.blockSize }

    /// Blocks that hold so many bytes.
    static func blocks(for bytes: Int64) -> Int {
        Int((bytes + Int64(blockSize) - 1) / Int64(blockSize))
    }

    /// Whether so many blocks are there right now.
    func hasRoom(for blocks: Int) -> Bool { state.withLock { $0.reserved + blocks <= capacity } }

    /// Sets blocks aside; false when there are not so many.
    func reserve(_ blocks: Int) -> Bool {
        state.withLock { state in
            guard state.reserved + blocks <= capacity else { return false }
            state.reserved += blocks
            return true
        }
    }

    /// A block of those set aside.
    func take() -> ByteBlock { spare.take() }

    /// Gives back blocks that were set aside, used or not.
    func release(_ blocks: Int, used: [ByteBlock] = []) {
        spare.giveBack(used)
        let waiting = state.withLock { state in
            state.reserved -= blocks
            defer { state.waiting = [] }
            return state.waiting
        }
        for semaphore in waiting { semaphore.signal() }
    }

    /// Signals `semaphore` once, when blocks are given back.
    func notify(_ semaphore: DispatchSemaphore) {
        state.withLock { state in
            if !state.waiting.contains(where: { $0 === semaphore }) { state.waiting.append(semaphore) }
        }
    }

    /// Blocks that are set aside, for tests.
    var reservedBlocks: Int { state.withLock { $0.reserved } }
}
