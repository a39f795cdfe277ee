/// Text that is safe to show: nothing in it moves the cursor, changes colours or reorders the line.
enum Printable {
    /// `text` in quotes, with what cannot be shown written as `\u{…}`, and shortened to `limit` characters.
    static func quoted(_ text: String, limit: Int = 60) -> String {
        var shown = "'"
        var count = 0
        for scalar in text.unicodeScalars {
            if count == limit {
                shown += "…"
                break
            }
            append(scalar, to: &shown)
            count += 1
        }
        return shown + "'"
    }

    /// `text` with what cannot be shown written as `\u{…}`.
    static func escaped(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars { append(scalar, to: &shown) }
        return shown
    }

    /// `U+00A0`.
    static func codePoint(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// Whether a terminal would act on the character, or show nothing where something is.
    static func mustBeEscaped(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .lineSeparator, .paragraphSeparator, .unassigned: return true
        case .spaceSeparator: return scalar != "\u{3000}"
        default: return false
        }
    }

    static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        }
    }

    private static func append(_ scalar: Unicode.Scalar, to text: inout String) {
        if mustBeEscaped(scalar) { text += escape(scalar) } else { text.unicodeScalars.append(scalar) }
    }
}
