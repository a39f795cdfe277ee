/// Base64, strict: one text for every sequence of bytes, and nothing else is accepted.
///
/// Source: RFC 4648, sections 4 and 5.
enum Base64 {
    enum Alphabet {
        /// With `+`, `/` and padding.
        case standard
        /// With `-`, `_` and no padding.
        case url
    }

    static func encode(_ bytes: [UInt8], _ alphabet: Alphabet = .standard) -> String {
        String(decoding: encodeBytes(bytes, alphabet), as: UTF8.self)
    }

    static func encodeBytes(_ bytes: [UInt8], _ alphabet: Alphabet = .standard) -> [UInt8] {
        let letters = Self.letters(alphabet)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0) }
            for position in 0..<4 {
                if position <= count {
                    text.append(letters[Int(group >> UInt32(18 - 6 * position) & 63)])
                } else if alphabet == .standard {
                    text.append(UInt8(ascii: "="))
                }
            }
        }
        return text
    }

    /// Nil for anything that `encode` would not have written.
    static func decode(_ text: some StringProtocol, _ alphabet: Alphabet = .standard) -> [UInt8]? {
        decode(Array(text.utf8), alphabet)
    }

    static func decode(_ text: [UInt8], _ alphabet: Alphabet = .standard) -> [UInt8]? {
        var digits = text[...]
        if alphabet == .standard {
            guard text.count % 4 == 0 else { return nil }
            for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() }
        }
        guard digits.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count * 3 / 4)
        var group: UInt32 = 0
        var bits = 0
        for digit in digits {
            guard let value = value(of: digit, alphabet) else { return nil }
            group = group << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
                group &= (1 << UInt32(bits)) - 1
            }
        }
        // What is left over of the last digit is zero in the one right text.
        return group == 0 ? bytes : nil
    }

    private static func letters(_ alphabet: Alphabet) -> [UInt8] {
        Array(
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + (alphabet == .url ? "-_" : "+/")).utf8)
    }

    private static func value(of digit: UInt8, _ alphabet: Alphabet) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+") where alphabet == .standard, UInt8(ascii: "-") where alphabet == .url: 62
        case UInt8(ascii: "/") where alphabet == .standard, UInt8(ascii: "_") where alphabet == .url: 63
        default: nil
        }
    }
}
