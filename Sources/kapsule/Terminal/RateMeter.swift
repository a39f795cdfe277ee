/// Bytes a second over the last few seconds: smooth enough to read, and zero soon after everything stopped.
struct RateMeter: Sendable {
    private static let window = Duration.seconds(5)
    private static let spacing = Duration.milliseconds(250)

    private var samples: [(at: Duration, done: Int64)]

    init(at now: Duration, done: Int64) { samples = [(now, done)] }

    mutating func note(_ done: Int64, at now: Duration) {
        guard let last = samples.last, now - last.at >= Self.spacing else { return }
        samples.append((now, done))
        while samples.count > 2, samples[1].at <= now - Self.window { samples.removeFirst() }
    }

    /// Nil in the first half second, when a number would say nothing.
    func rate(_ done: Int64, at now: Duration) -> Double? {
        guard let first = samples.first, now - first.at >= .milliseconds(500) else { return nil }
        return Double(max(0, done - first.done)) / (now - first.at).inSeconds
    }
}
