internal import Dispatch
internal import KapsuleCore
internal import Synchronization

/// A fixed number of threads' worth of work: pieces go to private queues in turn, and whoever brings more than they take
/// waits.
///
/// Private serial queues, because those have threads of their own; the global ones share theirs with Swift's tasks.
final class WorkQueues: Sendable {
    /// Pieces that wait for a queue, beside those being worked on: bounds the memory they hold.
    private static let waitingPieces = 2

    /// Memory for pieces, shared by all who bring some: each is what is under one block of level 0 of a hash tree.
    let blocks = SpareBlocks(blockSize: 512 << 10)
    private let queues: [DispatchQueue]
    private let next = Atomic<Int>(0)
    private let room: DispatchSemaphore

    init(_ count: Int) {
        precondition(count > 0, "somebody works")
        queues = (0..<count).map { DispatchQueue(label: "kapsule.work.\($0)") }
        room = DispatchSemaphore(value: count + Self.waitingPieces)
    }

    /// Pieces of work that are waited for together.
    final class Batch: Sendable {
        fileprivate let group = DispatchGroup()
        fileprivate let error = Mutex<(any Error)?>(nil)

        /// Waits for all pieces so far.
        ///
        /// - Throws: the first error of any of them; then the batch is as new.
        func wait() throws {
            group.wait()
            let error = error.withLock { error in
                defer { error = nil }
                return error
            }
            if let error { throw error }
        }
    }

    /// Has `work` run by and by; waits when too much is waiting.
    ///
    /// - Throws: the error of an earlier piece of the batch: nothing more is worth doing.
    func run(in batch: Batch, _ work: @escaping @Sendable () throws -> Void) throws {
        if let error = batch.error.withLock({ $0 }) { throw error }
        room.wait()
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        queues[Int(UInt(bitPattern: index) % UInt(queues.count))].async(group: batch.group) { [room] in
            defer { room.signal() }
            do {
                try work()
            } catch {
                batch.error.withLock { if $0 == nil { $0 = error } }
            }
        }
    }

    /// Runs `body` for every range of `stride` bytes of `size`, on all queues, and waits.
    func forEachRange(
        of size: Int64, stride: Int64, _ body: @escaping @Sendable (Range<Int64>) throws -> Void
    ) throws {
        let batch = Batch()
        do {
            for start in Swift.stride(from: 0, to: size, by: Int(stride)) {
                try run(in: batch) { try body(start..<min(start + stride, size)) }
            }
        } catch {
            try? batch.wait()
            throw error
        }
        try batch.wait()
    }
}
