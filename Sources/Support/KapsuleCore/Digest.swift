/// SHA-256 of some bytes. Text form: `sha256:` and 64 lower-case hex digits, as in OCI descriptors.
public struct Digest: Sendable {
    /// Length of the value, in bytes.
    public static let byteCount = 32

    // Big-endian words, first word first. InlineArray is neither Equatable nor Hashable.
    let words: (UInt64, UInt64, UInt64, UInt64)

    public init(bigEndianWords words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// Takes the 32 bytes that a hash function gave.
    ///
    /// - Precondition: `bytes` holds exactly 32 bytes.
    public init(bytes: Span<UInt8>) {
        precondition(bytes.count == Self.byteCount, "a SHA-256 digest has 32 bytes")
        func word(_ index: Int) -> UInt64 {
            var value: UInt64 = 0
            for offset in 0..<8 { value = value << 8 | UInt64(bytes[index * 8 + offset]) }
            return value
        }
        self.init(bigEndianWords: (word(0), word(1), word(2), word(3)))
    }

    /// Reads the text form. Nil unless `text` is `sha256:` and 64 lower-case hex digits.
    ///
    /// Source: OCI image-spec, descriptor.md, "Registered algorithms".
    public init?(parsing text: some StringProtocol) {
        let prefix = "sha256:"
        guard text.hasPrefix(prefix) else { return nil }
        self.init(hex: text.dropFirst(prefix.count))
    }

    /// Reads 64 lower-case hex digits, without the algorithm's name.
    public init?(hex text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 2 * Self.byteCount else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (index, digit) in digits.enumerated() {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            words[index / 16] = words[index / 16] << 4 | UInt64(value)
        }
        self.init(bigEndianWords: (words[0], words[1], words[2], words[3]))
    }

    /// The 32 bytes, most significant first.
    public var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
    }

    /// 64 lower-case hex digits: the name of a blob in an OCI layout.
    public var hex: String { Hex.encode(bytes) }

    /// The first twelve hex digits, for people.
    public var short: String { String(hex.prefix(12)) }
}

extension Digest: Hashable, Comparable, CustomStringConvertible {
    public static func == (a: Digest, b: Digest) -> Bool { a.words == b.words }
    public static func < (a: Digest, b: Digest) -> Bool { a.words < b.words }
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
    public var description: String { "sha256:\(hex)" }
}

/// Lower-case hexadecimal.
public enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    /// Two digits a byte.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
