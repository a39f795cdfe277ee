import KapsuleCore

/// Lines for a log: one when something begins, one when it ends, and one every few seconds between. No escape codes.
struct PlainDisplay: ProgressDisplay {
    private static let interval = Duration.seconds(5)

    private var board = ActivityBoard()
    /// When each activity was last spoken of, by its number.
    private var told: [Int64: Duration] = [:]

    mutating func update(_ events: [ProgressEvent], at now: Duration, columns: Int, rows: Int) -> String {
        var lines = events.compactMap { take($0) }
        board.look(at: now)
        for running in board.running where now - (told[running.id] ?? now) >= Self.interval {
            told[running.id] = now
            lines.append(Self.line(ProgressRow(running, at: now)))
        }
        return lines.map { $0 + "\n" }.joined()
    }

    func finish() -> String { "" }

    private mutating func take(_ event: ProgressEvent) -> String? {
        switch event {
        case .began(let activity, let now):
            let new = board.began(activity, at: now)
            told[new.id] = now
            return "\(new.title): started" + (new.total.map { ", \(ByteCount.text($0))" } ?? "")
        case .ended(let activity, let outcome, let now):
            guard let old = board.ended(activity, outcome, at: now) else { return nil }
            told[old.id] = nil
            return EndedLine.plain(old, outcome, at: now)
        case .expected: return nil
        case .message(let level, let text): return MessageLine.text(level: level, text, .monochrome)
        }
    }

    /// `model.safetensors: 45%, 412.3 MiB / 988.0 MiB, 310.2 MiB/s, 0:14 left`.
    private static func line(_ row: ProgressRow) -> String {
        let left = row.leftText.isEmpty ? "" : "\(row.leftText) left"
        let parts = [row.percent.map { "\($0)%" } ?? "", row.bytesText, row.rateText, left]
        return "\(row.title): " + parts.filter { !$0.isEmpty }.joined(separator: ", ")
    }
}
