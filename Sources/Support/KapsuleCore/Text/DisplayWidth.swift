/// How many columns of a terminal a text takes.
public enum DisplayWidth {
    /// Columns of `text`, which holds no control characters (see `Printable`).
    public static func of(_ text: some StringProtocol) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + of($1) }
    }

    /// Columns of one character as it is seen: an accent adds nothing, an ideograph or an emoji takes two.
    public static func of(_ character: Character) -> Int {
        let scalars = character.unicodeScalars
        if scalars.contains(where: isWide) || scalars.contains("\u{FE0F}") { return 2 }
        return scalars.allSatisfy(isInvisible) ? 0 : 1
    }

    /// `text` with blanks behind it, so that it fills `columns`.
    public static func padded(_ text: String, to columns: Int) -> String {
        text + blanks(columns - of(text))
    }

    /// `text` with blanks in front of it, so that it ends at `columns`.
    public static func indented(_ text: String, to columns: Int) -> String {
        blanks(columns - of(text)) + text
    }

    /// `text`, or its two ends around `…` when it takes more than `columns`.
    ///
    /// Two thirds go to the front: that is where the numbers of `model-00007-of-00163.safetensors` are.
    public static func elided(_ text: String, to columns: Int) -> String {
        guard of(text) > columns else { return text }
        guard columns > 1 else { return columns == 1 ? "…" : "" }
        let back = (columns - 1) / 3
        return String(front(of: Array(text), columns - 1 - back)) + "…"
            + String(front(of: text.reversed(), back).reversed())
    }

    /// As many of the first characters as fit.
    private static func front(of characters: [Character], _ columns: Int) -> ArraySlice<Character> {
        var left = columns
        let end = characters.firstIndex { character in
            left -= of(character)
            return left < 0
        }
        return characters[..<(end ?? characters.endIndex)]
    }

    private static func blanks(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: true
        default: false
        }
    }

    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x1100
            && (scalar.properties.isEmojiPresentation || wide.contains { $0.contains(scalar.value) })
    }

    /// Wide and fullwidth characters that are no emoji, with the unassigned ones of the same blocks.
    ///
    /// Source: Unicode 16, EastAsianWidth.txt, classes W and F.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18D7F,
        0x1AFF0...0x1B2FF, 0x1F200...0x1F2FF, 0x20000...0x3FFFD,
    ]
}
