import KapsuleCore

/// What is going on, as far as it was seen: activities that run, and a sum of those that ended.
///
/// Nothing it gives ever decreases, whatever the activities do.
struct ActivityBoard: Sendable {
    struct Running: Sendable {
        /// From 1, in the order they began.
        let id: Int64
        let activity: Activity
        let began: Duration
        /// The most that was seen, in bytes, and never more than the total.
        private(set) var done: Int64 = 0
        private(set) var meter: RateMeter

        /// As it may be shown.
        var title: String { Printable.text(activity.title) }
        var total: Int64? { activity.total }

        init(id: Int64, _ activity: Activity, at now: Duration) {
            self.id = id
            self.activity = activity
            began = now
            meter = RateMeter(at: now, done: 0)
        }

        mutating func look(at now: Duration) {
            done = max(done, min(activity.done, total ?? .max))
            meter.note(done, at: now)
        }

        /// What it comes to in the sum when it has ended.
        mutating func end(_ outcome: ActivityOutcome, at now: Duration) {
            look(at: now)
            switch outcome {
            case .succeeded, .skipped: done = max(done, total ?? 0)
            case .failed: break
            }
        }
    }

    private(set) var running: [Running] = []
    private(set) var endedCount = 0
    private var endedBytes: Int64 = 0
    private var begunBytes: Int64 = 0
    private var begunCount: Int64 = 0
    private var expected: (bytes: Int64, activities: Int)?
    private var meter: RateMeter?
    private var highestPercent = 0

    mutating func expect(bytes: Int64, activities: Int) { expected = (bytes, activities) }

    mutating func began(_ activity: Activity, at now: Duration) -> Running {
        begunCount += 1
        begunBytes += activity.total ?? 0
        if meter == nil { meter = RateMeter(at: now, done: 0) }
        let new = Running(id: begunCount, activity, at: now)
        running.append(new)
        return new
    }

    /// Nil for an activity that never began, or ended before.
    mutating func ended(_ activity: Activity, _ outcome: ActivityOutcome, at now: Duration) -> Running? {
        guard let index = running.firstIndex(where: { $0.activity === activity }) else { return nil }
        var old = running.remove(at: index)
        old.end(outcome, at: now)
        endedCount += 1
        endedBytes += old.done
        return old
    }

    /// Reads all counters.
    mutating func look(at now: Duration) {
        for index in running.indices { running[index].look(at: now) }
        let done = done
        meter?.note(done, at: now)
        if let total { highestPercent = max(highestPercent, ProgressRow.percent(done, of: total)) }
    }

    /// Bytes in all, of what runs and what ended.
    var done: Int64 { running.reduce(endedBytes) { $0 + $1.done } }
    /// Bytes to come in all; nil unless somebody said so.
    private var total: Int64? { expected.map { max($0.bytes, begunBytes) } }

    /// The line below all others; nil while one activity says it all.
    func sum(at now: Duration) -> ProgressRow? {
        guard begunCount > 1 || (expected?.activities ?? 0) > 1, let meter else { return nil }
        let count = expected.map { max($0.activities, Int(begunCount)) } ?? Int(begunCount)
        return ProgressRow(
            title: "\(endedCount) of \(count)", done: done, total: total,
            percent: total == nil ? nil : highestPercent, rate: meter.rate(done, at: now))
    }
}
