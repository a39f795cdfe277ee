internal import Dispatch
internal import KapsuleCore
internal import Synchronization

/// A range read in pieces, in order on the calling thread, while other threads fetch the pieces behind.
struct ParallelRead<Origin: RangeOrigin> {
    private let origin: Origin
    private let range: Range<Int64>
    private let options: RangeOptions

    init(_ origin: Origin, _ range: Range<Int64>, _ options: RangeOptions) {
        self.origin = origin
        self.range = range
        self.options = options
    }

    func run(_ deliver: (Span<UInt8>) throws -> Void) throws {
        var position = range.lowerBound
        let counted: (Span<UInt8>) throws -> Void = {
            try deliver($0)
            position += Int64($0.count)
        }
        do {
            try inPieces(counted)
        } catch is RangesIgnored {
            // Asking for piece after piece would fetch the whole object for each.
            try RangeRead(origin, position..<range.upperBound, acceptsWhole: true).run(counted)
        }
    }

    private func inPieces(_ deliver: (Span<UInt8>) throws -> Void) throws {
        let schedule = PieceSchedule(range, pieceSize: options.pieceSize, pool: options.pool)
        let helpers = min(options.connections, schedule.count) - 1
        guard helpers > 0 else { return try RangeRead(origin, range, acceptsWhole: false).run(deliver) }
        let done = DispatchGroup()
        defer {
            schedule.close()
            // What they fetch is nobody's any more: the connections end with this read.
            done.wait()
        }
        do {
            try schedule.signal.run { try readInOrder(schedule, helpers, done, deliver) }
        } catch let error as KapsuleError where error.code == .interrupted {
            // By whom: a piece behind that failed, or the person at the keyboard.
            throw schedule.failure ?? error
        }
    }

    private func readInOrder(
        _ schedule: PieceSchedule, _ helpers: Int, _ done: DispatchGroup, _ deliver: (Span<UInt8>) throws -> Void
    ) throws {
        var isStarted = false
        while let turn = schedule.next() {
            if !isStarted {
                isStarted = true
                for _ in 0..<helpers { start(schedule, done) }
            }
            switch turn {
            case .stream(let range): try RangeRead(origin, range, acceptsWhole: false).run(deliver)
            case .piece(let piece): try piece.drain(deliver)
            }
        }
    }

    /// A queue of its own is a thread of its own, which may block.
    private func start(_ schedule: PieceSchedule, _ done: DispatchGroup) {
        let origin = origin
        DispatchQueue(label: "kapsule.range").async(group: done) {
            schedule.signal.run {
                while let piece = schedule.pieceToFetch() {
                    do {
                        try RangeRead(origin, piece.range, acceptsWhole: false).run { piece.add($0) }
                        piece.finish()
                    } catch {
                        schedule.fail(error)
                    }
                }
            }
        }
    }
}

/// Which piece is whose: the reader takes them in order, helpers take the ones behind as far as memory allows.
final class PieceSchedule: Sendable {
    enum Turn {
        /// Nobody has fetched this yet: it streams from the server to the sink.
        case stream(Range<Int64>)
        /// Fetched, or being fetched.
        case piece(FetchedPiece)
    }

    private struct State {
        /// The first piece that nobody has taken.
        var unclaimed = 0
        /// The piece that the reader comes to next.
        var reading = 0
        var pieces: [Int: FetchedPiece] = [:]
        var failure: (any Error)?
        var isClosed = false
    }

    /// Pieces that stream in one request where there is no memory for helpers.
    private static let longestRun = 8

    private let range: Range<Int64>
    private let pieceSize: Int64
    private let pool: BlockPool
    let count: Int
    /// Set when all have to stop.
    let signal = StopSignal()
    private let state = Mutex(State())

    init(_ range: Range<Int64>, pieceSize: Int64, pool: BlockPool) {
        self.range = range
        self.pieceSize = pieceSize
        self.pool = pool
        count = Int((Int64(range.count) + pieceSize - 1) / pieceSize)
    }

    private func bounds(_ pieces: Range<Int>) -> Range<Int64> {
        let start = range.lowerBound + Int64(pieces.lowerBound) * pieceSize
        return start..<min(range.upperBound, range.lowerBound + Int64(pieces.upperBound) * pieceSize)
    }

    // MARK: The reader's thread

    /// What comes next; nil at the end.
    func next() -> Turn? {
        let isShort = !pool.hasRoom(for: BlockPool.blocks(for: pieceSize))
        return state.withLock { state in
            guard state.reading < count else { return nil }
            if let piece = state.pieces.removeValue(forKey: state.reading) {
                state.reading += 1
                return .piece(piece)
            }
            let run = state.reading..<min(count, state.reading + (isShort ? Self.longestRun : 1))
            state.reading = run.upperBound
            state.unclaimed = run.upperBound
            return .stream(bounds(run))
        }
    }

    /// What a piece behind the head failed with.
    var failure: (any Error)? { state.withLock { $0.failure } }

    /// No piece is fetched any more, and what was fetched is given back.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.pieces = [:] }
            return state.pieces.values
        }
        signal.stop()
        for piece in left { piece.discard() }
    }

    // MARK: Helpers' threads

    /// The next piece to fetch ahead, with memory set aside for all of it. Nil when there is none any more.
    func pieceToFetch() -> FetchedPiece? {
        let freed = DispatchSemaphore(value: 0)
        while true {
            // Before looking, so that memory given back in between is not missed.
            pool.notify(freed)
            switch claim() {
            case .none: return nil
            case .some(.some(let piece)): return piece
            case .some(.none): _ = freed.wait(timeout: .now() + .milliseconds(200))
            }
        }
    }

    /// Nil when there is nothing to do any more; a nil inside when there is no memory now.
    private func claim() -> FetchedPiece?? {
        state.withLock { state in
            guard !state.isClosed, state.failure == nil, state.unclaimed < count else { return .none }
            let range = bounds(state.unclaimed..<state.unclaimed + 1)
            guard let piece = FetchedPiece(range, in: pool) else { return .some(.none) }
            state.pieces[state.unclaimed] = piece
            state.unclaimed += 1
            return piece
        }
    }

    /// A piece failed for good: everything stops.
    func fail(_ error: any Error) {
        state.withLock { $0.failure = $0.failure ?? error }
        signal.stop()
    }
}

/// A piece that is fetched before its turn: blocks that one thread adds and another takes away.
final class FetchedPiece: Sendable {
    private struct State {
        /// Those that are full, and the one that is being filled.
        var blocks: [ByteBlock] = []
        /// Blocks set aside in the pool that were not given back.
        var reserved: Int
        var isFinished = false
        var isDiscarded = false
    }

    let range: Range<Int64>
    private let pool: BlockPool
    private let state: Mutex<State>
    private let change = DispatchSemaphore(value: 0)

    /// Nil when the pool has no room for it.
    init?(_ range: Range<Int64>, in pool: BlockPool) {
        let blocks = BlockPool.blocks(for: Int64(range.count))
        guard pool.reserve(blocks) else { return nil }
        self.range = range
        self.pool = pool
        state = Mutex(State(reserved: blocks))
    }

    deinit { discard() }

    // MARK: The helper's thread

    func add(_ bytes: Span<UInt8>) {
        var done = 0
        while done < bytes.count {
            let isFull = state.withLock { state -> Bool in
                // Nobody wants it: what comes is dropped until the request ends.
                guard !state.isDiscarded else {
                    done = bytes.count
                    return false
                }
                if state.blocks.last?.isFull ?? true {
                    state.blocks.append(pool.take())
                }
                done += state.blocks[state.blocks.count - 1].fill(bytes.extracting(droppingFirst: done))
                return state.blocks.last?.isFull == true
            }
            if isFull { change.signal() }
        }
    }

    /// All bytes have come.
    func finish() {
        state.withLock { $0.isFinished = true }
        change.signal()
    }

    // MARK: The reader's thread

    /// Delivers the piece, as it comes.
    ///
    /// - Throws: `.interrupted`, and what `deliver` throws.
    func drain(_ deliver: (Span<UInt8>) throws -> Void) throws {
        defer { discard() }
        while true {
            let (block, isOver) = state.withLock { state -> (ByteBlock?, Bool) in
                guard let first = state.blocks.first else { return (nil, state.isFinished) }
                // The last one may still be growing.
                guard first.isFull || state.isFinished else { return (nil, false) }
                return (state.blocks.removeFirst(), false)
            }
            if isOver { return }
            try Task.checkNotInterrupted()
            guard let block else {
                _ = change.wait(timeout: .now() + .milliseconds(200))
                continue
            }
            try block.withBytes(deliver)
            state.withLock { $0.reserved -= 1 }
            pool.release(1, used: [block])
        }
    }

    /// Gives its memory back.
    func discard() {
        let (reserved, blocks) = state.withLock { state in
            state.isDiscarded = true
            defer {
                state.reserved = 0
                state.blocks = []
            }
            return (state.reserved, state.blocks)
        }
        if reserved > 0 { pool.release(reserved, used: blocks) }
    }
}
