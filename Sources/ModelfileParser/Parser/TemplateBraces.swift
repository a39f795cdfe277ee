/// Looks whether the actions of a Go template close, and whether each block has its end. What stands in them is not looked at.
///
/// Source: Go `text/template/parse/lex.go`: actions may go over several lines, hold texts in three kinds of quotes, and
/// begin and end with `-`.
struct TemplateBraces {
    /// What is wrong, and where: an action's opening braces.
    struct Problem: Equatable {
        let id: String
        let message: String
        let help: String
        /// Bytes of the whole text.
        let range: Range<Int>
    }

    private let bytes: ArraySlice<UInt8>
    private var open: [(word: String, range: Range<Int>)] = []

    /// - Parameter bytes: the template; offsets are those of the slice.
    static func problem(in bytes: ArraySlice<UInt8>) -> Problem? {
        var braces = TemplateBraces(bytes: bytes)
        return braces.firstProblem()
    }

    private init(bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    private mutating func firstProblem() -> Problem? {
        var position = bytes.startIndex
        while let start = find("{{", from: position) {
            let braces = start..<start + 2
            guard let end = end(ofActionAt: start) else {
                return Problem(
                    id: "template-action", message: "this {{ has no }} that closes it, so Ollama refuses the TEMPLATE",
                    help: "close it; within an action, quotes have to be closed first", range: braces)
            }
            if let problem = note(word(at: start), braces) { return problem }
            position = end
        }
        guard let last = open.last else { return nil }
        let others = open.count > 1 ? ", and \(open.count - 1) more have none" : ""
        return Problem(
            id: "template-end",
            message: "this {{ \(last.word) }} has no {{ end }}\(others), so Ollama refuses the TEMPLATE",
            help: "write {{ end }} where it ends", range: last.range)
    }

    /// Takes account of what an action begins with.
    private mutating func note(_ word: String, _ braces: Range<Int>) -> Problem? {
        switch word {
        case "if", "range", "with", "block", "define":
            open.append((word, braces))
            return nil
        case "end" where open.isEmpty, "else" where open.isEmpty:
            return Problem(
                id: "template-end", message: "this {{ \(word) }} belongs to no block, so Ollama refuses the TEMPLATE",
                help: "delete it, or write the {{ if }} that it ends", range: braces)
        case "end":
            open.removeLast()
            return nil
        default: return nil
        }
    }

    private func find(_ mark: String, from start: Int) -> Int? {
        let mark = Array(mark.utf8)
        var index = start
        while index + mark.count <= bytes.endIndex {
            if bytes[index..<index + mark.count].elementsEqual(mark) { return index }
            index += 1
        }
        return nil
    }

    /// Behind the braces and the mark that trims.
    private func inside(_ start: Int) -> Int {
        let index = start + 2
        let trims = index + 1 < bytes.endIndex && bytes[index] == UInt8(ascii: "-") && Self.isBlank(bytes[index + 1])
        return trims ? index + 2 : index
    }

    private static func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }

    /// The keyword that an action begins with, or whatever word that is.
    private func word(at start: Int) -> String {
        let text = bytes[inside(start)...].drop(while: Self.isBlank)
        return String(decoding: text.prefix { CharacterClass.isNameByte($0) || $0 >= 0x80 }, as: UTF8.self)
    }

    /// Behind the closing braces; nil where there are none.
    private func end(ofActionAt start: Int) -> Int? {
        var index = inside(start)
        if bytes[index...].starts(with: "/*".utf8) {
            guard let close = find("*/", from: index + 2) else { return nil }
            index = close + 2
        }
        while index < bytes.endIndex {
            switch bytes[index] {
            case UInt8(ascii: "}") where bytes[index...].starts(with: "}}".utf8): return index + 2
            case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"):
                guard let close = endOfText(at: index) else { return nil }
                index = close
            default: index += 1
            }
        }
        return nil
    }

    private func endOfText(at start: Int) -> Int? {
        let quote = bytes[start]
        var index = start + 1
        while index < bytes.endIndex {
            if bytes[index] == quote { return index + 1 }
            // Only raw texts go over lines, and have no escapes.
            if quote != UInt8(ascii: "`") {
                if bytes[index] == UInt8(ascii: "\n") { return nil }
                if bytes[index] == UInt8(ascii: "\\") { index += 1 }
            }
            index += 1
        }
        return nil
    }
}
