/// Messages and nothing else.
struct QuietDisplay: ProgressDisplay {
    let style: TerminalStyle

    func update(_ events: [ProgressEvent], at now: Duration, columns: Int, rows: Int) -> String {
        events.map { event in
            guard case .message(let level, let text) = event else { return "" }
            return MessageLine.text(level: level, text, style) + "\n"
        }.joined()
    }

    func finish() -> String { "" }
}
