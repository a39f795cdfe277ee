internal import Dispatch
internal import Glibc
public import KapsuleCore
internal import Synchronization

/// Hands blocks to another thread, so that two cores work on one stream.
///
/// A block is copied once, into one of a few buffers; `write` waits while all are full. What the other thread fails with
/// surfaces at the next `write` or at `finish`. A value that is let go ends the other thread.
///
/// Used by one thread at a time.
public final class PipedSink<Output: Sendable>: ByteSink {
    private let pipe: Pipe<Output>
    private var block: ByteBlock?

    /// - Parameters:
    ///   - blocks: how many may be on their way.
    ///   - blockSize: in bytes. All blocks but the last one are full.
    ///   - consume: runs on the other thread, and reads until there is nothing more.
    public init(
        blocks: Int = 8, blockSize: Int = 256 << 10, _ consume: @escaping @Sendable (PipeReader) throws -> Output
    ) {
        let pipe = Pipe<Output>(blocks: blocks, blockSize: blockSize)
        self.pipe = pipe
        OwnThread.start { pipe.end(Result { try consume(PipeReader(pipe)) }) }
    }

    deinit { pipe.abandon() }

    public func write(_ bytes: Span<UInt8>) throws {
        var done = 0
        while done < bytes.count {
            let block = try block ?? pipe.emptyBlock()
            done += block.fill(bytes.extracting(droppingFirst: done))
            self.block = block
            if block.isFull { pass() }
        }
    }

    /// Waits until the other thread has dealt with everything.
    public func finish() throws -> Output {
        pass()
        return try pipe.finish()
    }

    /// Ends the other thread, whose work is not wanted any more, and waits for that.
    public func abandon() { pipe.abandon() }

    private func pass() {
        guard let block else { return }
        self.block = nil
        pipe.pass(block)
    }
}

/// The other end of a `PipedSink`.
public struct PipeReader: Sendable {
    private let pipe: any PipeEnd

    fileprivate init(_ pipe: any PipeEnd) { self.pipe = pipe }

    /// Gives every block to `body`, in order, until there is nothing more.
    ///
    /// - Throws: `.interrupted` when the writer gave up, and what `body` throws.
    public func forEachBlock(_ body: (Span<UInt8>) throws -> Void) throws {
        while let block = try pipe.fullBlock() {
            try block.withBytes(body)
            pipe.recycle(block)
        }
    }
}

private protocol PipeEnd: AnyObject, Sendable {
    func fullBlock() throws -> ByteBlock?
    func recycle(_ block: ByteBlock)
}

private final class Pipe<Output: Sendable>: PipeEnd {
    private struct State {
        var full: [ByteBlock] = []
        var empty: [ByteBlock] = []
        var isClosed = false
        var isAbandoned = false
        var result: Result<Output, any Error>?
    }

    private let blockSize: Int
    private let state = Mutex(State())
    // Made with nothing in them: a semaphore must not be let go with less than it was made with.
    private let free = DispatchSemaphore(value: 0)
    private let filled = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(blocks: Int, blockSize: Int) {
        self.blockSize = blockSize
        for _ in 0..<blocks { free.signal() }
    }

    // MARK: The writer's thread

    func emptyBlock() throws -> ByteBlock {
        free.wait()
        return try state.withLock { state in
            if case .failure(let error)? = state.result { throw error }
            guard let block = state.empty.popLast() else { return ByteBlock(capacity: blockSize) }
            block.clear()
            return block
        }
    }

    func pass(_ block: ByteBlock) {
        state.withLock { $0.full.append(block) }
        filled.signal()
    }

    func finish() throws -> Output {
        state.withLock { $0.isClosed = true }
        filled.signal()
        ended.wait()
        ended.signal()
        guard let result = state.withLock({ $0.result }) else { preconditionFailure("a thread ends with a result") }
        return try result.get()
    }

    /// Waits until the other thread has ended: what it wrote to is then nobody else's.
    func abandon() {
        state.withLock { $0.isAbandoned = true }
        filled.signal()
        ended.wait()
        ended.signal()
    }

    // MARK: The reader's thread

    func fullBlock() throws -> ByteBlock? {
        while true {
            filled.wait()
            let (block, isOver) = try state.withLock { state -> (ByteBlock?, Bool) in
                if state.isAbandoned, !state.isClosed {
                    throw KapsuleError(.interrupted, id: "interrupted", "interrupted")
                }
                return state.full.isEmpty ? (nil, state.isClosed) : (state.full.removeFirst(), false)
            }
            if let block { return block }
            if isOver { return nil }
        }
    }

    func recycle(_ block: ByteBlock) {
        state.withLock { $0.empty.append(block) }
        free.signal()
    }

    func end(_ result: Result<Output, any Error>) {
        state.withLock { $0.result = result }
        free.signal()
        ended.signal()
    }
}
