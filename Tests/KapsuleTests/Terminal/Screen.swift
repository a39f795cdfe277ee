import Synchronization

@testable import kapsule

/// A terminal as far as the bars use one: lines, a cursor, and what was written to it.
struct Screen {
    private(set) var lines: [String] = [""]
    private(set) var row = 0
    private(set) var isCursorHidden = false
    /// Everything that arrived, as it came.
    private(set) var raw = ""
    private var column = 0

    mutating func write(_ text: String) {
        raw += text
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\r": column = 0
            case "\n":
                row += 1
                column = 0
                if row == lines.count { lines.append("") }
            case "\u{1b}": obey(&rest)
            default:
                let line = lines[row].unicodeScalars
                let old = line.count > column + 1 ? String(line.dropFirst(column + 1)) : ""
                lines[row] = String(line.prefix(column)) + String(scalar) + old
                column += 1
            }
        }
    }

    private mutating func obey(_ rest: inout Substring.UnicodeScalarView) {
        precondition(rest.popFirst() == "[", "only CSI sequences are used")
        let parameter = String(String.UnicodeScalarView(rest.prefix { !("@"..."~").contains($0) }))
        rest = rest.dropFirst(parameter.unicodeScalars.count)
        switch (rest.popFirst(), parameter) {
        case ("A", let count): row = max(0, row - (Int(count) ?? 1))
        case ("K", ""): lines[row] = String(lines[row].unicodeScalars.prefix(column))
        case ("J", ""):
            lines[row] = String(lines[row].unicodeScalars.prefix(column))
            lines.removeSubrange((row + 1)...)
        case ("l", "?25"): isCursorHidden = true
        case ("h", "?25"): isCursorHidden = false
        case ("m", _): break
        case let other: preconditionFailure("unknown sequence \(other)")
        }
    }
}

private struct StageState {
    var now = Duration.zero
    var columns = 100
    var rows = 24
    var screen = Screen()
    var isClosed = false
}

private final class StageBox: Sendable {
    let value = Mutex(StageState())
}

/// A renderer whose clock is turned by hand and whose standard error is a `Screen`.
final class Stage: Sendable {
    private struct Closed: Error {}

    private let state = StageBox()
    let renderer: ProgressRenderer

    init(_ mode: ProgressMode, environment: [String: String] = ["NO_COLOR": "1"]) {
        let state = state
        renderer = ProgressRenderer(
            mode, environment: environment, isTerminal: true,
            surroundings: .init(
                now: { state.value.withLock { $0.now } },
                size: { state.value.withLock { ($0.columns, $0.rows) } },
                write: { text in
                    try state.value.withLock { state in
                        if state.isClosed { throw Closed() }
                        state.screen.write(text)
                    }
                }),
            startsThread: false)
    }

    /// Lets time pass, and the renderer look at its end.
    func pass(_ time: Duration) {
        state.value.withLock { $0.now += time }
        renderer.look()
    }

    func resize(columns: Int, rows: Int = 24) { state.value.withLock { ($0.columns, $0.rows) = (columns, rows) } }
    func close() { state.value.withLock { $0.isClosed = true } }
    var screen: Screen { state.value.withLock { $0.screen } }
}
