/// Text from elsewhere (file names, messages of servers), made safe to show: on one line, and with nothing in it that
/// commands a terminal or reorders what stands around it.
public enum Printable {
    /// `a⏎b` as `a\nb`, an escape character as `\u{1b}`, a backslash as `\\`; everything visible as it is.
    public static func text(_ text: some StringProtocol) -> String {
        guard text.unicodeScalars.contains(where: { $0 == "\\" || isUnsafe($0) }) else { return String(text) }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isUnsafe(scalar): result += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Several lines, such as a rendered error: newlines stay, and so do backslashes.
    public static func lines(_ text: some StringProtocol) -> String {
        guard text.unicodeScalars.contains(where: { $0 != "\n" && isUnsafe($0) }) else { return String(text) }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == "\n" || !isUnsafe(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += Self.text(String(scalar))
            }
        }
        return result
    }

    /// A document of JSON in which such characters are escapes as well; it means the same.
    ///
    /// JSON itself escapes only the first 32 characters. Others stand inside strings alone, where `\u009b` is allowed.
    public static func json(_ document: JSON, pretty: Bool = false) -> String {
        let text = pretty ? document.pretty : document.compact
        guard text.unicodeScalars.contains(where: { $0 != "\n" && isUnsafe($0) }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar != "\n" && isUnsafe(scalar) {
                for unit in UTF16.encode(scalar) ?? .init() {
                    result += "\\u" + Hex.encode([UInt8(unit >> 8), UInt8(unit & 0xFF)])
                }
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Controls, line separators, and invisible characters that change direction or hide; not those that join the
    /// letters of a script or the parts of an emoji.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        case .format: return scalar != "\u{200C}" && scalar != "\u{200D}"
        default: return false
        }
    }
}
