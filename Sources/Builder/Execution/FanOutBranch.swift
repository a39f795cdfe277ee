internal import Dispatch
internal import KapsuleCore
internal import Synchronization

/// One output of a lane, on a thread of its own: outputs that hash, write or upload do so side by side.
///
/// Called by one thread; the sink is used on the branch's queue alone.
final class FanOutBranch: @unchecked Sendable {
    let output: Int
    let sink: any LaneSink
    // A private serial queue is a thread that may block; the global ones share theirs with Swift's tasks.
    private let queue = DispatchQueue(label: "kapsule.output")
    private let stop = StopSignal()
    private let error = Mutex<(any Error)?>(nil)

    init(output: Int, sink: any LaneSink) {
        self.output = output
        self.sink = sink
    }

    /// What the sink failed with; it is given nothing any more then.
    var failure: (any Error)? { error.withLock(\.self) }

    /// Has the sink do something after all that it was given before, and does not wait for it.
    func begin(_ work: @escaping @Sendable (any LaneSink) throws -> Void, then: @escaping @Sendable () -> Void = {}) {
        queue.async { [self] in
            _ = attempt(work)
            then()
        }
    }

    /// Has the sink do something after all that it was given before, and waits; nil when it has failed.
    func perform<T: Sendable>(_ work: @escaping @Sendable (any LaneSink) throws -> T) -> T? {
        let result = Answer<T>()
        let done = DispatchSemaphore(value: 0)
        queue.async { [self] in
            result.give(attempt(work))
            done.signal()
        }
        // The sink's thread has no task: that this one was cancelled has to be told.
        while done.wait(timeout: .now() + .milliseconds(200)) == .timedOut {
            if StopSignal.isUnwanted { stop.stop() }
        }
        return result.value
    }

    /// Ends what the sink is doing, and gives up on it.
    func abandon() {
        stop.stop()
        queue.sync { sink.abandon() }
    }

    private func attempt<T>(_ work: (any LaneSink) throws -> T) -> T? {
        guard failure == nil else { return nil }
        do {
            return try stop.run { try work(sink) }
        } catch {
            self.error.withLock { $0 = error }
            return nil
        }
    }
}

/// What a piece of work on another thread came to.
private final class Answer<T: Sendable>: Sendable {
    private let state = Mutex<T?>(nil)
    var value: T? { state.withLock(\.self) }
    func give(_ value: T?) { state.withLock { $0 = value } }
}

/// A few blocks that all outputs of a lane read; one is filled again when the last has done with it.
final class SharedBlocks: Sendable {
    /// Enough for the fastest output to go on while the slowest is at its oldest block.
    private static let limit = 8

    private let spare = SpareBlocks(blockSize: 256 << 10)
    private let onTheirWay = Atomic<Int>(0)
    private let change = DispatchSemaphore(value: 0)

    /// An empty block, waited for. Called by one thread.
    ///
    /// - Throws: `.interrupted`.
    func take() throws -> ByteBlock {
        while onTheirWay.load(ordering: .acquiring) == Self.limit {
            _ = change.wait(timeout: .now() + .milliseconds(200))
            try Task.checkNotInterrupted()
        }
        onTheirWay.add(1, ordering: .relaxed)
        return spare.take()
    }

    /// Has every branch write the block, and takes it back after the last.
    func pass(_ block: ByteBlock, to branches: [FanOutBranch]) {
        let users = Users(branches.count)
        for branch in branches {
            branch.begin({ sink in
                var sink = sink
                try block.withBytes { try sink.write($0) }
            }) { [self] in
                if users.isLast() { giveBack(block) }
            }
        }
    }

    private func giveBack(_ block: ByteBlock) {
        spare.giveBack(block)
        onTheirWay.subtract(1, ordering: .releasing)
        change.signal()
    }

    private final class Users: Sendable {
        private let count: Atomic<Int>
        init(_ count: Int) { self.count = Atomic(count) }
        func isLast() -> Bool { count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
    }
}
