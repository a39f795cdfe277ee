import Dispatch
import KapsuleCore
import KapsuleIO
import Synchronization

/// Shows on standard error what is going on, from a thread of its own that looks ten times a second.
///
/// Whoever works only leaves a note here and never waits for a terminal. When nobody reads standard error any more,
/// nothing is shown any more; the work goes on.
final class ProgressRenderer: ProgressReporter {
    /// Where the frames go, and where the time comes from. Tests have their own.
    struct Surroundings: Sendable {
        /// Since some fixed moment.
        var now: @Sendable () -> Duration
        var size: @Sendable () -> (columns: Int, rows: Int)
        /// A throw says that nobody reads.
        var write: @Sendable (String) throws -> Void
        /// How long `finish` waits for a terminal that stands still.
        var patience = DispatchTimeInterval.seconds(2)

        static var standardError: Surroundings {
            let start = ContinuousClock.now
            return Surroundings(
                now: { ContinuousClock.now - start },
                size: { StandardStream.error.size ?? (columns: 80, rows: 24) },
                write: { try StandardStream.error.write($0) })
        }
    }

    private struct Inbox {
        var events: [ProgressEvent] = []
        var lostMessages = 0
        var isFinished = false
    }

    /// Messages that wait at most; beyond it a terminal that stands still costs messages, not memory.
    private static let mostWaiting = 10_000

    private let surroundings: Surroundings
    private let inbox = Mutex(Inbox())
    private let display: Mutex<any ProgressDisplay>
    private let isDeaf = Mutex(false)
    private let wake = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)
    private let hasThread: Bool

    /// - Parameters:
    ///   - mode: `auto` is resolved here.
    ///   - startsThread: false where the caller looks by itself, with `look`.
    init(
        _ mode: ProgressMode, environment: [String: String], isTerminal: Bool = StandardStream.error.isTerminal,
        surroundings: Surroundings = .standardError, startsThread: Bool = true
    ) {
        let style = TerminalStyle.standard(isTerminal: isTerminal, environment: environment)
        let display: any ProgressDisplay =
            switch mode.resolved(isTerminal: isTerminal, environment: environment) {
            case .auto, .plain: PlainDisplay()
            case .tty: BarDisplay(style: style)
            case .json: JSONDisplay()
            case .none: QuietDisplay(style: style)
            }
        self.display = Mutex(display)
        self.surroundings = surroundings
        hasThread = startsThread
        if startsThread {
            StandardStream.prepare()
            OwnThread.start { [self] in run() }
        }
    }

    func began(_ activity: Activity) { note(.began(activity, at: surroundings.now())) }

    func ended(_ activity: Activity, _ outcome: ActivityOutcome) {
        note(.ended(activity, outcome, at: surroundings.now()))
    }

    /// Says how much is to come in all, as a plan knows it: only then is there a percentage of the whole.
    func expect(bytes: Int64, activities: Int) { note(.expected(bytes: bytes, activities: activities)) }

    /// Writes `text`, one line or several, above what is running.
    ///
    /// - Parameters:
    ///   - level: stands in front; empty for what is no log.
    ///   - text: escaped already where it comes from elsewhere.
    func message(_ text: String, level: String = "") { note(.message(level: level, text)) }

    /// Writes what is still to be written, takes the bars away and gives the cursor back. Waits two seconds at most for
    /// a terminal that stands still. What comes later is written at once; calling it again does nothing.
    func finish() {
        let isFirst = inbox.withLock { inbox in
            defer { inbox.isFinished = true }
            return !inbox.isFinished
        }
        guard isFirst else { return }
        if hasThread {
            wake.signal()
            if done.wait(timeout: .now() + surroundings.patience) == .timedOut { isDeaf.withLock { $0 = true } }
        } else {
            conclude()
        }
    }

    /// For the last breath of a process that ends without `finish`, such as at a second interrupt: no bars, a cursor.
    static func restoreTerminal() {
        guard StandardStream.error.isTerminal else { return }
        try? StandardStream.error.write("\r\u{1b}[J\u{1b}[?25h")
    }

    /// Shows how things are now.
    func look() {
        let (events, lost) = inbox.withLock { inbox in
            defer { (inbox.events, inbox.lostMessages) = ([], 0) }
            return (inbox.events, inbox.lostMessages)
        }
        let size = surroundings.size()
        let note = lost > 0 ? [ProgressEvent.message(level: "warning", "\(lost) messages were lost here")] : []
        let text = display.withLock {
            $0.update(events + note, at: surroundings.now(), columns: size.columns, rows: size.rows)
        }
        write(text)
    }

    private func note(_ event: ProgressEvent) {
        let isLate = inbox.withLock { inbox in
            if case .message = event, inbox.events.count >= Self.mostWaiting {
                inbox.lostMessages += 1
            } else {
                inbox.events.append(event)
            }
            return inbox.isFinished
        }
        if isLate { conclude() }
    }

    private func run() {
        while !inbox.withLock({ $0.isFinished }) {
            look()
            _ = wake.wait(timeout: .now() + .milliseconds(100))
        }
        conclude()
        done.signal()
    }

    private func conclude() {
        look()
        write(display.withLock { $0.finish() })
    }

    private func write(_ text: String) {
        guard !text.isEmpty, !isDeaf.withLock({ $0 }) else { return }
        do {
            try surroundings.write(text)
        } catch {
            isDeaf.withLock { $0 = true }
        }
    }
}
