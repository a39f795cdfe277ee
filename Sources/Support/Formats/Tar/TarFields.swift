internal import KapsuleCore

/// The fields of one 512-byte header block, checked.
///
/// Source: POSIX.1-2008 `pax`, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
struct TarFields {
    var name: [UInt8]
    let mode: UInt32
    let size: Int64
    let type: UInt8
    let linkName: [UInt8]

    /// - Parameter block: 512 bytes, not all of them zero.
    init(_ block: [UInt8], at offset: Int64, _ problem: TarProblem) throws {
        try Self.check(block, at: offset, problem)
        func field(_ range: Range<Int>) -> [UInt8] { Array(block[range].prefix { $0 != 0 }) }
        guard let size = Self.number(block[124..<136]), (0...TarLimit.fileSize).contains(size) else {
            throw problem.malformed("tar.size", "an entry's size is no number or absurd", at: offset)
        }
        self.size = size
        // A mode that makes no sense decides nothing: the bits are normalised by whoever unpacks.
        mode = UInt32(truncatingIfNeeded: Self.number(block[100..<108]) ?? 0) & 0o7777
        type = block[156]
        linkName = field(157..<257)
        let isPOSIX = block[257..<263].elementsEqual("ustar\u{0}".utf8)
        let prefix = isPOSIX ? field(345..<500) : []
        name = prefix.isEmpty ? field(0..<100) : prefix + [UInt8(ascii: "/")] + field(0..<100)
    }

    /// The sum of all bytes, with blanks for the sum itself; some old writers added signed bytes.
    private static func check(_ block: [UInt8], at offset: Int64, _ problem: TarProblem) throws {
        var unsigned: Int64 = 8 * 0x20
        var signed: Int64 = 8 * 0x20
        for (index, byte) in block.enumerated() where !(148..<156).contains(index) {
            unsigned += Int64(byte)
            signed += Int64(Int8(bitPattern: byte))
        }
        guard let sum = number(block[148..<156]), sum == unsigned || sum == signed else {
            throw problem.malformed("tar.checksum", "a header's checksum is wrong", at: offset)
        }
    }

    /// Octal digits between blanks and NULs, or GNU's base 256; an empty field is 0. Nil for anything else.
    static func number(_ field: ArraySlice<UInt8>) -> Int64? {
        if let first = field.first, first & 0x80 != 0 {
            // Two's complement, big-endian, the top bit a mark. Nothing here may be negative.
            guard first == 0x80 else { return nil }
            var value: Int64 = 0
            for byte in field.dropFirst() {
                guard value < 1 << 54 else { return nil }
                value = value << 8 | Int64(byte)
            }
            return value
        }
        func isFiller(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0 }
        let digits = field.drop(while: isFiller).reversed().drop(while: isFiller).reversed()
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit), value < 1 << 59 else { return nil }
            value = value << 3 | Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }
}
