internal import Dispatch
internal import FoundationEssentials
internal import KapsuleCore

/// When to try again, and how long to wait before.
///
/// Tried again are connections that failed, were cut or stalled, and the statuses 408, 429 and 5xx. The wait is what
/// `Retry-After` says, else two seconds, doubled every time, with jitter. Progress refreshes the budget: a transfer
/// that comes further each time may be cut as often as it likes.
public struct RetryPolicy: Sendable {
    /// How often one thing is tried in all, without progress.
    public var attempts = 5
    public var firstDelay = Duration.seconds(2)
    /// No wait is longer, whatever a server says.
    public var longestDelay = Duration.seconds(60)
    /// Waits. Throws `.interrupted` when the task is cancelled meanwhile.
    public var sleep: @Sendable (Duration) throws -> Void = RetryPolicy.block
    /// A factor for a computed wait, from 0.5 to 1.
    public var jitter: @Sendable () -> Double = { Double.random(in: 0.5...1) }
    /// Seconds since 1970, for a `Retry-After` that names a date.
    public var now: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) }

    public init() {}

    /// - Parameter environment: `KAPSULE_RETRY_DELAY_MS` shortens the first wait, and all others with it, for tests.
    public init(environment: [String: String]) {
        guard let text = environment["KAPSULE_RETRY_DELAY_MS"], let milliseconds = Int(text), milliseconds >= 0 else {
            return
        }
        firstDelay = .milliseconds(milliseconds)
        longestDelay = min(longestDelay, firstDelay * 30)
    }

    /// Whether an answer may be different a moment later.
    public static func isTransient(status: Int) -> Bool {
        status == 408 || status == 429 || (500..<600).contains(status) && status != 501 && status != 505
    }

    /// Runs `body` until it succeeds, fails for good, or the budget is used up.
    ///
    /// Only errors for which `isTransientHTTP` holds are tried again.
    ///
    /// - Parameter body: calls `progressed` on its attempt when it came further than ever before.
    public func run<T>(_ body: (inout Attempt) throws -> T) throws -> T {
        var failures = 0
        while true {
            var attempt = Attempt()
            do {
                return try body(&attempt)
            } catch let error as KapsuleError where error.isTransientHTTP && !attempt.isFinal {
                failures = attempt.hasProgressed ? 1 : failures + 1
                if failures >= attempts { throw error }
                try sleep(delay(after: failures, attempt.retryAfter))
            }
        }
    }

    /// One try.
    public struct Attempt {
        var hasProgressed = false
        var retryAfter: String?
        /// Set where the failure is not the network's: nothing is tried again.
        public var isFinal = false

        public mutating func progressed() { hasProgressed = true }
        /// Remembers what a refusal says of when to come back.
        public mutating func heard(_ response: HTTPResponse) {
            retryAfter = RateLimit.wait(response).map { "\($0)" } ?? response.headers["Retry-After"]
        }
    }

    /// How long a server wants to be left alone by everyone; nil when it says nothing of the kind.
    public func pause(for response: HTTPResponse) -> Duration? {
        guard response.status == 429 || response.status == 503 else { return nil }
        var attempt = Attempt()
        attempt.heard(response)
        guard let text = attempt.retryAfter, let seconds = RetryAfter.seconds(text, now: now()) else {
            return response.status == 429 ? min(firstDelay, longestDelay) : nil
        }
        return min(.seconds(seconds), longestDelay)
    }

    /// - Parameter failures: how many there were in a row; at least 1.
    func delay(after failures: Int, _ retryAfter: String?) -> Duration {
        if let retryAfter, let seconds = RetryAfter.seconds(retryAfter, now: now()) {
            return min(.seconds(seconds), longestDelay)
        }
        let doubled = firstDelay * (1 << min(failures - 1, 16))
        return min(doubled, longestDelay) * jitter()
    }

    /// Blocks the thread, and looks for cancellation meanwhile.
    static func block(_ time: Duration) throws {
        let end = ContinuousClock.now + time
        let never = DispatchSemaphore(value: 0)
        while true {
            try Task.checkNotInterrupted()
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else { return }
            _ = never.wait(timeout: .now() + .milliseconds(max(1, min(200, left.milliseconds))))
        }
    }
}
