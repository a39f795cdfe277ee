/// The lines of YAML between two lines of `---` that begin a model card, as far as words and lists of words go.
///
/// Source: huggingface.co/docs/hub/model-cards.
public struct FrontMatter: Sendable {
    private let lines: [Substring]

    /// Nil for a text that does not begin so.
    public init?(_ text: String) {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---") else { return nil }
        self.lines = Array(lines[1..<end])
    }

    /// What stands behind `key:`, one word or a list in either of YAML's forms; empty where nothing does.
    public func values(of key: String) -> [String] {
        guard let place = lines.firstIndex(where: { $0.hasPrefix("\(key):") }) else { return [] }
        let value = Self.bare(lines[place].dropFirst(key.count + 1))
        if value.hasPrefix("["), value.hasSuffix("]") {
            return value.dropFirst().dropLast().split(separator: ",").map(Self.bare).filter { !$0.isEmpty }
        }
        guard value.isEmpty else { return [value] }
        let items = lines[(place + 1)...].prefix { $0.drop { $0 == " " }.hasPrefix("- ") }
        return items.map { Self.bare($0.drop { $0 == " " }.dropFirst(2)) }.filter { !$0.isEmpty }
    }

    /// Without a comment, blanks and quotes around it.
    private static func bare(_ text: Substring) -> String {
        var text = text
        if let mark = text.firstIndex(of: "#"), mark == text.startIndex || text[text.index(before: mark)] == " " {
            text = text[..<mark]
        }
        func trim(_ isTrimmed: (Character) -> Bool) {
            while let last = text.last, isTrimmed(last) { text.removeLast() }
            text = text.drop(while: isTrimmed)
        }
        trim { $0 == " " || $0 == "\t" }
        if let first = text.first, text.count > 1, first == text.last, "\"'".contains(first) {
            text = text.dropFirst().dropLast()
        }
        return String(text)
    }
}
