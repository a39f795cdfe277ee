import KapsuleCore

/// One line of a running display, before it is fitted to a terminal.
struct ProgressRow: Sendable {
    let title: String
    let done: Int64
    let total: Int64?
    /// Nil where the total is unknown.
    let percent: Int?
    /// Bytes a second.
    let rate: Double?

    init(title: String, done: Int64, total: Int64?, percent: Int?, rate: Double?) {
        self.title = title
        self.done = done
        self.total = total
        self.percent = percent
        self.rate = rate
    }

    init(_ running: ActivityBoard.Running, at now: Duration) {
        self.init(
            title: running.title, done: running.done, total: running.total,
            percent: running.total.map { Self.percent(running.done, of: $0) },
            rate: running.meter.rate(running.done, at: now))
    }

    /// Whole percents, rounded down: 100 says that nothing is missing.
    static func percent(_ done: Int64, of total: Int64) -> Int {
        guard total > 0 else { return done >= total ? 100 : 0 }
        return min(done < total ? 99 : 100, Int(Double(done) / Double(total) * 100))
    }

    /// `412.3 MiB / 988.0 MiB`.
    var bytesText: String {
        total.map { "\(ByteCount.text(done)) / \(ByteCount.text($0))" } ?? ByteCount.text(done)
    }

    /// `310.2 MiB/s`; empty while unknown.
    var rateText: String { rate.map { ByteCount.text(Int64(min($0, 1e18))) + "/s" } ?? "" }

    /// `0:14`; empty while unknown.
    var leftText: String {
        guard let rate, rate > 0, let total, done < total else { return "" }
        return DurationText.left(seconds: Double(total - done) / rate) ?? ""
    }
}

/// Rows fitted to a terminal: equal columns, and what is least missed left out where it is narrow.
struct RowLayout: Sendable {
    private static let leastTitle = 16
    private static let mostTitle = 48
    private static let leastBar = 10
    private static let mostBar = 30

    private var title = 0
    private var bar = leastBar
    private var bytes: Int
    private var rate: Int
    private var left: Int
    private let percent: Int

    /// - Parameter columns: of the terminal; its last one stays empty, so that no line wraps.
    init(_ rows: [ProgressRow], columns: Int) {
        func widest(_ text: (ProgressRow) -> String) -> Int { rows.map { DisplayWidth.of(text($0)) }.max() ?? 0 }
        percent = rows.contains { $0.percent != nil } ? 4 : 0
        bytes = widest(\.bytesText)
        rate = widest(\.rateText)
        left = widest(\.leftText)
        let room = columns - 1
        let wanted = widest(\.title)
        let least = min(wanted, Self.leastTitle)
        if room - taken < least { rate = 0 }
        if room - taken < least { left = 0 }
        if room - taken < least { bar = 0 }
        if room - taken < least { bytes = 0 }
        title = max(0, min(wanted, Self.mostTitle, room - taken))
        if bar > 0 { bar = min(Self.mostBar, bar + max(0, room - taken - title)) }
    }

    /// Columns of all but the title, each with the two blanks before it; and the mark in front of the line.
    private var taken: Int { 2 + [bar, percent, bytes, rate, left].filter { $0 > 0 }.reduce(0) { $0 + $1 + 2 } }

    /// - Parameter mark: one column wide.
    func line(_ row: ProgressRow, mark: String, _ style: TerminalStyle) -> String {
        var parts = [mark + " " + DisplayWidth.padded(DisplayWidth.elided(row.title, to: title), to: title)]
        if bar > 0 { parts.append(drawBar(row, style)) }
        if percent > 0 { parts.append(DisplayWidth.indented(row.percent.map { "\($0)%" } ?? "", to: percent)) }
        if bytes > 0 { parts.append(DisplayWidth.indented(row.bytesText, to: bytes)) }
        if rate > 0 { parts.append(style.dim(DisplayWidth.indented(row.rateText, to: rate))) }
        if left > 0 { parts.append(style.cyan(DisplayWidth.indented(row.leftText, to: left))) }
        return parts.joined(separator: "  ")
    }

    /// Full and half cells; empty where nobody knows how much there is.
    private func drawBar(_ row: ProgressRow, _ style: TerminalStyle) -> String {
        guard let percent = row.percent else { return DisplayWidth.padded("", to: bar) }
        let halves = percent * bar * 2 / 100
        let full = String(repeating: "━", count: halves / 2) + (halves % 2 == 1 ? "╸" : "")
        let rest = String(repeating: "─", count: bar - (halves + 1) / 2)
        return (percent == 100 ? style.green(full) : style.cyan(full)) + style.dim(rest)
    }
}
