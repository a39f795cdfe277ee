/// The character classes of the grammar, and what is dropped or trimmed.
///
/// Source: Ollama `parser/parser.go`. Ollama deletes every character outside the Unicode categories L, M, N, P and S;
/// here only C0 controls go, since the others are somebody's text (joined emoji, Persian, private glyphs).
enum CharacterClass {
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// CR and LF each; where lines are counted, a CRLF is one.
    static func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// What a parameter's name is made of.
    static func isNameByte(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "_") }

    /// NUL and the other C0 controls but tab, LF and CR: never part of a value.
    static func isDropped(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 0x09 && !isNewline(byte) }

    /// Whether Ollama keeps the character. As the first one of an instruction, any other is ignored.
    static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return (0x20..<0x7F).contains(scalar.value) }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
            .paragraphSeparator:
            return false
        default: return true
        }
    }

    /// Whether a value loses the character at its ends: white space, and marks that nobody sees or means there.
    static func isTrimmed(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value == 0x20 || (0x09...0x0D).contains(scalar.value) }
        switch scalar {
        case "\u{200B}", "\u{2060}", "\u{FEFF}": return true
        default: return scalar.properties.isWhitespace
        }
    }
}
