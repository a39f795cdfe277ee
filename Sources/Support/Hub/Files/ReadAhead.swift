internal import Dispatch
internal import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// Small files, fetched side by side before their turn.
///
/// A model has dozens of them, and they are read one after the other: without this each would cost two round trips. It
/// begins when two neighbours were asked for in a row, so that a look at a single file fetches no other.
final class ReadAhead: Sendable {
    /// Files on their way at one time.
    private static let width = 6
    /// What may wait here, in bytes; one file more where it is longer.
    private static let room: Int64 = 4 << 20

    private struct State {
        var last = -2
        /// The first file that nobody has fetched ahead.
        var next = 0
        var running = 0
        var ready: [Int: Result<[UInt8], any Error>] = [:]
        var onTheWay: Set<Int> = []
        /// Sizes of all that is ready or on the way.
        var held: Int64 = 0
    }

    private let sizes: [Int64]
    private let fetch: @Sendable (Int) throws -> [UInt8]
    private let state = Mutex(State())
    private let change = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - sizes: of the files, in the order in which they will be asked for.
    ///   - fetch: brings one of them, checked. Called on threads of its own.
    init(sizes: [Int64], fetch: @escaping @Sendable (Int) throws -> [UInt8]) {
        self.sizes = sizes
        self.fetch = fetch
    }

    /// All of file `index`, checked. Blocks.
    func content(_ index: Int) throws -> [UInt8] {
        let isNext = state.withLock { state in
            defer { state.last = index }
            if !state.ready.keys.contains(index), !state.onTheWay.contains(index) {
                state.next = max(state.next, index + 1)
            }
            return state.last == index - 1
        }
        if isNext { startMore() }
        while true {
            let found = state.withLock { state -> Result<[UInt8], any Error>?? in
                if let result = state.ready.removeValue(forKey: index) {
                    state.held -= sizes[index]
                    return .some(.some(result))
                }
                return state.onTheWay.contains(index) ? .some(.none) : .none
            }
            switch found {
            case .none: return try fetch(index)
            case .some(.some(let result)):
                if isNext { startMore() }
                return try result.get()
            case .some(.none):
                _ = change.wait(timeout: .now() + .milliseconds(200))
                try Task.checkNotInterrupted()
            }
        }
    }

    private func startMore() {
        while let index = claim() {
            DispatchQueue(label: "kapsule.hub").async { [self] in
                let result = Result { try fetch(index) }
                state.withLock { state in
                    state.onTheWay.remove(index)
                    state.ready[index] = result
                    state.running -= 1
                }
                change.signal()
            }
        }
    }

    private func claim() -> Int? {
        state.withLock { state in
            guard state.running < Self.width, state.next < sizes.count else { return nil }
            let size = sizes[state.next]
            guard state.held == 0 || state.held + size <= Self.room else { return nil }
            state.held += size
            state.running += 1
            state.onTheWay.insert(state.next)
            state.next += 1
            return state.next - 1
        }
    }
}
