// Records are written into arrays and read from them at the offsets of their specifications.

extension [UInt8] {
    /// Writes `value`, least significant byte first.
    mutating func put(_ value: some FixedWidthInteger, at offset: Int) {
        var rest = value
        for index in 0..<(value.bitWidth / 8) {
            self[offset + index] = UInt8(truncatingIfNeeded: rest)
            rest = rest >> 8
        }
    }

    mutating func put(_ bytes: [UInt8], at offset: Int) {
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    /// The number at `offset`, least significant byte first. The caller has checked that it lies within.
    func get<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T {
        var value: T = 0
        for index in (0..<(T.bitWidth / 8)).reversed() {
            value = (T.bitWidth > 8 ? value << 8 : 0) | T(truncatingIfNeeded: self[offset + index])
        }
        return value
    }
}
