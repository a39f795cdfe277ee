import KapsuleCore

/// Bars on a terminal, redrawn in place; what has ended scrolls up above them, once.
///
/// The cursor rests on the line below the bars, so that whatever else is written there, such as the terminal's `^C`, is
/// wiped away by the next frame and never lands inside a line.
struct BarDisplay: ProgressDisplay {
    /// Most bars at one time.
    static let mostBars = 12
    private static let spinner: [Character] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

    private let style: TerminalStyle
    private var board = ActivityBoard()
    private var isCursorHidden = false
    /// The lines below which the cursor rests, and their widths in columns.
    private var frame: [String] = []
    private var widths: [Int] = []

    init(style: TerminalStyle) { self.style = style }

    mutating func update(_ events: [ProgressEvent], at now: Duration, columns: Int, rows: Int) -> String {
        let above = events.compactMap { take($0) }
        board.look(at: now)
        let (new, newWidths) = draw(at: now, columns: columns, rows: rows)
        guard !above.isEmpty || new != frame else { return "" }
        var text = ""
        if !isCursorHidden, !new.isEmpty {
            text += "\u{1b}[?25l"
            isCursorHidden = true
        }
        text += back(columns: columns)
        for line in above { text += clearingEnds(line) + "\u{1b}[K\n" }
        for line in new { text += line + "\u{1b}[K\n" }
        text += "\u{1b}[J"
        (frame, widths) = (new, newWidths)
        return text
    }

    mutating func finish() -> String {
        let text = (frame.isEmpty ? "" : back(columns: .max) + "\u{1b}[J") + (isCursorHidden ? "\u{1b}[?25h" : "")
        (frame, widths, isCursorHidden) = ([], [], false)
        return text
    }

    /// Takes note of an event. Returns what stays of it.
    private mutating func take(_ event: ProgressEvent) -> String? {
        switch event {
        case .began(let activity, let now):
            _ = board.began(activity, at: now)
            return nil
        case .ended(let activity, let outcome, let now):
            return board.ended(activity, outcome, at: now).map { EndedLine.styled($0, outcome, at: now, style) }
        case .expected(let bytes, let activities):
            board.expect(bytes: bytes, activities: activities)
            return nil
        case .message(let level, let text):
            return MessageLine.text(level: level, text, style)
        }
    }

    private func draw(at now: Duration, columns: Int, rows: Int) -> (lines: [String], widths: [Int]) {
        guard !board.running.isEmpty else { return ([], []) }
        // The line of the cursor, the sum, and the line that counts the others.
        let most = max(1, min(Self.mostBars, rows - 3))
        let shown = board.running.prefix(most).map { ProgressRow($0, at: now) }
        let sum = board.sum(at: now)
        let layout = RowLayout(shown + (sum.map { [$0] } ?? []), columns: columns)
        let tick = Int(now / .milliseconds(100)) % Self.spinner.count
        var lines = shown.map { layout.line($0, mark: style.cyan(String(Self.spinner[tick])), style) }
        let others = board.running.count - shown.count
        if others > 0 { lines.append(style.dim(DisplayWidth.elided("  and \(others) more", to: columns - 1))) }
        if let sum { lines.append(layout.line(sum, mark: " ", style)) }
        return (lines, lines.map(Self.width))
    }

    /// To where the frame began. A terminal that became narrower has wrapped its lines.
    private func back(columns: Int) -> String {
        let lines = widths.reduce(0) { $0 + max(1, ($1 - 1) / max(1, columns) + 1) }
        return "\r" + (lines > 0 ? "\u{1b}[\(lines)A" : "")
    }

    /// Of a line of our own, without its colours.
    private static func width(_ line: String) -> Int {
        line.split(separator: "\u{1b}").enumerated().reduce(0) { sum, part in
            let isCoded = part.offset > 0 || line.hasPrefix("\u{1b}")
            let text = isCoded ? part.element.drop { $0 != "m" }.dropFirst() : part.element
            return sum + DisplayWidth.of(text)
        }
    }

    /// Every line of a message wipes what stood behind it.
    private func clearingEnds(_ message: String) -> String {
        message.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\u{1b}[K\n")
    }
}
