/// Steps through well-formed UTF-8, one scalar at a time.
enum UTF8Text {
    /// The scalar that starts at `offset`, and its length in bytes. `offset` is a boundary before the end.
    static func scalar(_ bytes: [UInt8], at offset: Int) -> (scalar: Unicode.Scalar, length: Int) {
        let lead = bytes[offset]
        if lead < 0x80 { return (Unicode.Scalar(lead), 1) }
        let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for i in 1..<length { value = value << 6 | UInt32(bytes[offset + i] & 0x3F) }
        return (Unicode.Scalar(value) ?? "\u{FFFD}", length)
    }

    /// The nearest boundary at or before `offset`.
    static func boundary(_ bytes: [UInt8], at offset: Int) -> Int {
        var offset = offset
        while offset > 0, offset < bytes.count, bytes[offset] & 0xC0 == 0x80 { offset -= 1 }
        return offset
    }

    /// What is left of `range` without trimmed characters (and, if `droppingControls`, without dropped ones) at
    /// its ends. An empty rest is placed at the end of `range`.
    static func trim(_ bytes: [UInt8], _ range: Range<Int>, droppingControls: Bool = false) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        func goes(_ scalar: Unicode.Scalar) -> Bool {
            CharacterClass.isTrimmed(scalar) || droppingControls && scalar.value < 0x20
        }
        while start < end {
            let (scalar, length) = scalar(bytes, at: start)
            guard goes(scalar) else { break }
            start += length
        }
        while start < end {
            let last = boundary(bytes, at: end - 1)
            guard goes(scalar(bytes, at: last).scalar) else { break }
            end = last
        }
        return start..<end
    }
}
