internal import Dispatch
internal import KapsuleCore
internal import Synchronization

/// A few blocks of memory between the thread that makes a body and the thread that sends it.
///
/// The maker waits while all blocks are full; the sender never waits, it pauses its transfer. Either side may die: the
/// maker by `abandon`, the sender by `complete`, and both are seen by the other at once.
final class UploadRing: BodyFeed, Sendable {
    private struct State {
        /// Oldest first. `sent` bytes of the first are gone.
        var filled: [ByteBlock] = []
        var sent = 0
        var free: [ByteBlock] = []
        var isComplete = false
        var isAbandoned = false
        var makerWaits = false
        var outcome: Result<HTTPResponse, any Error>?
        var handle: CurlHandle?
    }

    /// Enough to keep a socket busy while the maker hashes its next block, and no more.
    static let blockCount = 3
    /// In bytes: stays in the second-level cache between the maker's copy and the socket's.
    static let blockSize = 512 << 10

    let length: Int64
    private let state: Mutex<State>
    private let change = DispatchSemaphore(value: 0)

    init(length: Int64) {
        self.length = length
        state = Mutex(State())
        state.withLock { $0.free = (0..<Self.blockCount).map { _ in ByteBlock(capacity: Self.blockSize) } }
    }

    // MARK: The maker's side

    /// An empty block, waited for.
    ///
    /// - Throws: `.interrupted`. Nil when the request has ended: `outcome` says how.
    func emptyBlock() throws -> ByteBlock? {
        try wait { state in
            if state.outcome != nil { return .some(nil) }
            return state.free.popLast().map { .some($0) }
        }
    }

    /// Hands over a block with something in it.
    func pass(_ block: ByteBlock) {
        let handle = state.withLock { state in
            state.filled.append(block)
            return state.handle
        }
        handle?.wake()
    }

    /// How the request ended, waited for.
    func outcome() throws -> Result<HTTPResponse, any Error> { try wait { $0.outcome } }

    func abandon() {
        let handle = state.withLock { state in
            state.isAbandoned = true
            return state.handle
        }
        handle?.wake()
    }

    private func wait<T>(_ ready: (inout State) -> sending T?) throws -> T {
        while true {
            let result = state.withLock { state in
                let result = ready(&state)
                state.makerWaits = result == nil
                return result
            }
            if let result { return result }
            _ = change.wait(timeout: .now() + .milliseconds(200))
            if StopSignal.isUnwanted {
                abandon()
                throw KapsuleError(.interrupted, id: "interrupted", "interrupted")
            }
        }
    }

    private func changed(_ change: (inout State) -> Void) {
        let signals = state.withLock { state in
            change(&state)
            defer { state.makerWaits = false }
            return state.makerWaits
        }
        if signals { self.change.signal() }
    }

    // MARK: The sender's side

    /// Whom to wake when a block arrives.
    func attach(_ handle: CurlHandle) { state.withLock { $0.handle = handle } }

    /// The request has ended; no block is taken any more.
    func complete(_ outcome: Result<HTTPResponse, any Error>) {
        changed { state in
            state.outcome = outcome
            state.handle = nil
        }
    }

    var isReady: Bool { state.withLock { !$0.filled.isEmpty } }
    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    func next(into buffer: UnsafeMutableBufferPointer<UInt8>) throws -> Int? {
        // Only this side removes blocks, so the first one stays while it is copied without the lock.
        guard let (block, sent) = state.withLock({ state in state.filled.first.map { ($0, state.sent) } }) else {
            return nil
        }
        let count = unsafe block.copy(from: sent, into: buffer)
        let isDone = sent + count == block.count
        changed { state in
            state.sent = isDone ? 0 : sent + count
            if isDone { state.free.append(state.filled.removeFirst()) }
        }
        return count
    }
}
