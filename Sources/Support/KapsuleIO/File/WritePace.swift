internal import KapsuleCore
internal import Synchronization

/// Two ways of writing a file.
enum WriteWay: Sendable {
    /// Past the page cache.
    case direct
    case cached

    var other: WriteWay { self == .direct ? .cached : .direct }
}

/// The faster way of writing a file: both are measured, and again from time to time. What slowed a device may be over, and
/// a cache be full.
struct FasterWay: Sendable {
    /// Bytes a second at which the other way is not asked for: as fast as a core hashes.
    static let fastEnough = Double(1 << 30)
    /// The other way is measured again after so many times the time that took.
    static let patience = 10

    private(set) var way: WriteWay = .direct
    private var hasChoice = true
    /// Of the other way: bytes a second, and how long its last stretch took.
    private var other: (rate: Double, time: Duration)?
    /// Since the way was changed.
    private var time: Duration = .zero

    /// There is no direct way.
    mutating func stayWithCache() { (way, hasChoice) = (.cached, false) }

    /// A stretch of `bytes` was written in `time`: chooses the way of the next one.
    mutating func went(_ bytes: Int64, in time: Duration) {
        let rate = Double(bytes) / max(time / .seconds(1), 1e-9)
        self.time += time
        guard hasChoice, way == .cached || rate < Self.fastEnough else { return }
        if let other, self.time < other.time * Self.patience, other.rate <= rate { return }
        way = way.other
        (other, self.time) = ((rate, time), .zero)
    }
}

/// Chooses for each piece of a file how it is written; for any number of threads.
final class WritePace: Sendable {
    /// Bytes after which the choice is looked at again.
    private static let stretch: Int64 = 32 << 20

    private struct State {
        var choice = FasterWay()
        var bytes: Int64 = 0
        /// While anything was under way.
        var busy: Duration = .zero
        var underWay = 0
        var since = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// There is no direct way.
    func stayWithCache() { state.withLock { $0.choice.stayWithCache() } }

    /// Runs one write the way it should go. The time of several at once counts once.
    ///
    /// - Parameter write: says how many bytes it wrote.
    func measure(_ write: (WriteWay) throws -> Int) throws -> Int {
        let way = state.withLock { state in
            if state.underWay == 0 { state.since = .now }
            state.underWay += 1
            return state.choice.way
        }
        let result = Result { try write(way) }
        state.withLock { state in
            let now = ContinuousClock.now
            state.busy += now - state.since
            state.since = now
            state.underWay -= 1
            // What was begun before a change says nothing of the way taken now.
            if way == state.choice.way { state.bytes += Int64((try? result.get()) ?? 0) }
            guard state.bytes >= Self.stretch else { return }
            state.choice.went(state.bytes, in: state.busy)
            (state.bytes, state.busy) = (0, .zero)
        }
        return try result.get()
    }
}
