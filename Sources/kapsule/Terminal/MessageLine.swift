/// A message between the lines of progress: its level where it is more than a note.
enum MessageLine {
    static func text(level: String, _ text: String, _ style: TerminalStyle) -> String {
        switch level {
        case "": text
        case "critical", "error": style.red("\(level):") + " " + text
        case "warning": style.yellow("\(level):") + " " + text
        default: style.dim("\(level): \(text)")
        }
    }
}
