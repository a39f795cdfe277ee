/// Colours, where they are wanted. Escape codes are written in this folder and nowhere else.
struct TerminalStyle: Sendable {
    let isColoured: Bool

    static let monochrome = TerminalStyle(isColoured: false)

    /// - Parameter environment: a `NO_COLOR` that is not empty turns colours off (https://no-color.org).
    static func standard(isTerminal: Bool, environment: [String: String]) -> TerminalStyle {
        let isRefused = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
        return TerminalStyle(isColoured: isTerminal && !isRefused)
    }

    init(isColoured: Bool) { self.isColoured = isColoured }

    func bold(_ text: String) -> String { coded(text, 1) }
    func dim(_ text: String) -> String { coded(text, 2) }
    func red(_ text: String) -> String { coded(text, 31) }
    func green(_ text: String) -> String { coded(text, 32) }
    func yellow(_ text: String) -> String { coded(text, 33) }
    func cyan(_ text: String) -> String { coded(text, 36) }

    private func coded(_ text: String, _ code: Int) -> String {
        isColoured && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }
}
