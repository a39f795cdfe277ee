internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// Where all requests to one registry wait while it wants to be left alone: what one of them is told holds for all.
final class HostGate: Sendable {
    private let opening = Mutex<ContinuousClock.Instant?>(nil)

    /// Closes the gate for a time. One that is closed for longer stays so.
    func close(for time: Duration) {
        let end = ContinuousClock.now + time
        opening.withLock { $0 = max($0 ?? end, end) }
    }

    /// Waits until the gate is open.
    ///
    /// - Parameter sleep: throws `.interrupted` when nobody wants to wait any more.
    func pass(_ sleep: (Duration) throws -> Void) throws {
        while let end = opening.withLock(\.self) {
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else {
                opening.withLock { if $0 == end { $0 = nil } }
                return
            }
            try sleep(left)
        }
    }
}
