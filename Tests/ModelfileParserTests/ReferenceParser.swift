/// Ollama's scanner as its source has it, state by state and without any cleverness, with the deviations that `Parser`
/// lists. Quadratic; only for short inputs.
///
/// Source: Ollama `parser/parser.go`, `ParseFile` and `unquote`.
enum ReferenceParser {
    private enum State { case none, comment, word, name, value }

    private static let words = [
        "from", "parameter", "template", "system", "adapter", "license", "message", "renderer", "parser", "requires",
        "draft",
        "exclude", "encrypt",
    ]

    /// `name=value` of each command up to the first error, and whether there was one.
    static func parse(_ text: [Unicode.Scalar]) -> (commands: [String], failed: Bool) {
        var (state, word, name, buffer) = (State.none, "", "", [Unicode.Scalar]())
        var commands: [String] = []
        func emit(_ value: String) {
            switch word {
            case "from": commands.append("model=\(value)")
            case "parameter": commands.append("\(name)=\(value)")
            case "message": commands.append("message=\(name): \(value)")
            default: commands.append("\(word)=\(value)")
            }
        }
        for scalar in text {
            let (isNewline, isBlank) = (scalar == "\n" || scalar == "\r", scalar == " " || scalar == "\t")
            switch state {
            case .none:
                if isNewline || isBlank { continue }
                state = scalar == "#" ? .comment : .word
                word = isVisible(scalar) ? String(Character(scalar)) : ""
            case .comment: if isNewline { state = .none }
            case .word:
                if isLetter(scalar) {
                    word.unicodeScalars.append(scalar)
                } else {
                    word = asciiLowercased(word)
                    guard isBlank, words.contains(word) else { return (commands, true) }
                    (name, buffer) = ("", [])
                    state = word == "parameter" || word == "message" ? .name : .value
                }
            case .name:
                let isPart = isLetter(scalar) || word == "parameter" && (scalar == "_" || ("0"..."9").contains(scalar))
                if isPart {
                    name.unicodeScalars.append(scalar)
                } else if isBlank, name.isEmpty {
                    continue
                } else {
                    guard isBlank, word != "message" || ["system", "user", "assistant"].contains(name) else {
                        return (commands, true)
                    }
                    state = .value
                }
            case .value:
                if isNewline, let value = unquote(buffer) {
                    emit(value)
                    state = .none
                } else if scalar.value >= 0x20 || isNewline || isBlank {
                    buffer.append(scalar)
                }
            }
        }
        switch state {
        case .none, .comment: return (commands, false)
        case .word, .name: return (commands, true)
        case .value:
            guard let value = unquote(buffer) else { return (commands, true) }
            emit(value)
            return (commands, false)
        }
    }

    private static func unquote(_ buffer: [Unicode.Scalar]) -> String? {
        var rest = buffer[...]
        while let first = rest.first, isTrimmed(first) { rest.removeFirst() }
        while let last = rest.last, isTrimmed(last) { rest.removeLast() }
        for count in [3, 1] {
            let quotes = Array(repeating: "\"" as Unicode.Scalar, count: count)
            guard rest.starts(with: quotes) else { continue }
            guard rest.count >= 2 * count, rest.suffix(count).elementsEqual(quotes) else { return nil }
            rest = rest.dropFirst(count).dropLast(count)
            break
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: rest)
        return String(text)
    }

    private static func isTrimmed(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || ["\u{200B}", "\u{2060}", "\u{FEFF}"].contains(scalar)
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == " " { return true }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
            .paragraphSeparator:
            return false
        default: return true
        }
    }

    private static func asciiLowercased(_ text: String) -> String {
        String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}
