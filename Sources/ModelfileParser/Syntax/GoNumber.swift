/// Numbers and Booleans as Go's `strconv` reads them, which is how Ollama reads parameters.
///
/// Source: Go `strconv/atoi.go`, `atof.go`, `atob.go`.
enum GoNumber {
    /// An optional sign and decimal digits, in the range of 64 bits.
    static func integer(_ text: String) -> Int64? {
        let digits = Array(text.utf8).withoutSign
        guard !digits.isEmpty, digits.allSatisfy(CharacterClass.isDigit) else { return nil }
        return Int64(text)
    }

    static func boolean(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// A decimal or hexadecimal literal, at 32 bits. Nil for what is out of range, infinite or not a number: JSON, which
    /// parameters are stored in, holds none of these.
    static func float(_ text: String) -> Float? {
        let bytes = Array(text.utf8)
        guard hasSoundUnderscores(bytes) else { return nil }
        let isNegative = bytes.first == UInt8(ascii: "-")
        guard let literal = literal(bytes.withoutSign.filter { $0 != UInt8(ascii: "_") }) else { return nil }
        guard let value = Float(literal), value.isFinite else { return nil }
        return isNegative ? -value : value
    }

    /// Whether the text spells an infinity or not-a-number, which Ollama's parser takes and its JSON encoder does not.
    static func isSpecial(_ text: String) -> Bool {
        let word = String(decoding: Array(text.utf8).withoutSign, as: UTF8.self).lowercased()
        return ["inf", "infinity", "nan"].contains(word)
    }

    /// The shortest decimal that gives the same 32 bits; no fraction when there is none.
    static func text(_ value: Float) -> String {
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// `digits` in the form that `Float.init` reads everywhere: a digit on both sides of the point.
    private static func literal(_ digits: [UInt8]) -> String? {
        let isHex = digits.count > 2 && digits[0] == UInt8(ascii: "0") && digits[1] | 0x20 == UInt8(ascii: "x")
        let body = isHex ? digits[2...] : digits[...]
        let exponentMark = isHex ? UInt8(ascii: "p") : UInt8(ascii: "e")
        let markIndex = body.firstIndex { $0 | 0x20 == exponentMark }
        guard isHex ? markIndex != nil : true else { return nil }
        let mantissa = body[..<(markIndex ?? body.endIndex)]
        let parts = mantissa.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.contains(where: { !$0.isEmpty }) else { return nil }
        guard parts.joined().allSatisfy({ isHex ? isHexDigit($0) : CharacterClass.isDigit($0) }) else { return nil }
        let fraction = parts.count == 2 ? "." + String(decoding: parts[1], as: UTF8.self) + "0" : ""
        let text = (isHex ? "0x0" : "0") + String(decoding: parts[0], as: UTF8.self) + fraction
        guard let markIndex else { return text }
        let exponent = Array(body[(markIndex + 1)...])
        guard !exponent.withoutSign.isEmpty, exponent.withoutSign.allSatisfy(CharacterClass.isDigit) else { return nil }
        return text + (isHex ? "p" : "e") + String(decoding: exponent, as: UTF8.self)
    }

    /// Underscores stand between digits, or between a base prefix and a digit.
    private static func hasSoundUnderscores(_ bytes: [UInt8]) -> Bool {
        guard bytes.contains(UInt8(ascii: "_")) else { return true }
        var digits = bytes.withoutSign
        var isHex = false
        var afterDigit = false
        if digits.count >= 2, digits[0] == UInt8(ascii: "0"), "box".utf8.contains(digits[1] | 0x20) {
            isHex = digits[1] | 0x20 == UInt8(ascii: "x")
            digits.removeFirst(2)
            afterDigit = true
        }
        var afterUnderscore = false
        for byte in digits {
            if byte == UInt8(ascii: "_") {
                guard afterDigit else { return false }
                (afterDigit, afterUnderscore) = (false, true)
            } else if CharacterClass.isDigit(byte) || isHex && isHexDigit(byte) {
                (afterDigit, afterUnderscore) = (true, false)
            } else {
                guard !afterUnderscore else { return false }
                afterDigit = false
            }
        }
        return !afterUnderscore
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        CharacterClass.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }
}

extension [UInt8] {
    fileprivate var withoutSign: [UInt8] {
        first == UInt8(ascii: "+") || first == UInt8(ascii: "-") ? Array(dropFirst()) : self
    }
}
