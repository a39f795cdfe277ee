/// A file's bytes as UTF-8, whatever they were.
///
/// | first bytes | read as |
/// | --- | --- |
/// | `EF BB BF` | UTF-8, mark dropped |
/// | `FF FE`, `FE FF` | UTF-16, little or big endian, mark dropped |
/// | anything else | UTF-8 |
///
/// Malformed sequences, lone surrogates and an odd last byte each become U+FFFD.
struct DecodedText {
    private(set) var utf8: [UInt8] = []
    /// How many malformed sequences were replaced, and where in `utf8` the first replacement is.
    private(set) var replacementCount = 0
    private(set) var firstReplacement: Int?
    private(set) var encoding = SourceText.Encoding.utf8

    init(_ bytes: [UInt8]) {
        if bytes.starts(with: [0xFF, 0xFE]) {
            encoding = .utf16LittleEndian
            decodeUTF16(bytes) { UInt16($0) | UInt16($1) << 8 }
        } else if bytes.starts(with: [0xFE, 0xFF]) {
            encoding = .utf16BigEndian
            decodeUTF16(bytes) { UInt16($0) << 8 | UInt16($1) }
        } else {
            decodeUTF8(bytes, from: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0)
        }
    }

    private mutating func decodeUTF8(_ bytes: [UInt8], from start: Int) {
        var start = start
        while start < bytes.count {
            let malformed = Self.firstMalformed(bytes, from: start)
            if start == 0, malformed == nil {
                utf8 = bytes
                return
            }
            utf8 += bytes[start..<(malformed?.lowerBound ?? bytes.count)]
            guard let malformed else { return }
            replace()
            start = malformed.upperBound
        }
    }

    /// The first stretch of bytes, from `start` on, that is no UTF-8.
    private static func firstMalformed(_ bytes: [UInt8], from start: Int) -> Range<Int>? {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span.extracting(start..<bytes.count))
            return nil
        } catch {
            return start + error.byteOffsets.lowerBound..<start + error.byteOffsets.upperBound
        }
    }

    private mutating func decodeUTF16(_ bytes: [UInt8], unit: (UInt8, UInt8) -> UInt16) {
        utf8.reserveCapacity(bytes.count)
        var high: UInt16?
        for i in stride(from: 2, to: bytes.count - 1, by: 2) {
            let unit = unit(bytes[i], bytes[i + 1])
            if let first = high, UTF16.isTrailSurrogate(unit) {
                high = nil
                append(0x10000 + (UInt32(first) & 0x3FF) << 10 + UInt32(unit) & 0x3FF)
                continue
            }
            if high != nil { replace() }
            high = UTF16.isLeadSurrogate(unit) ? unit : nil
            if UTF16.isTrailSurrogate(unit) { replace() } else if high == nil { append(UInt32(unit)) }
        }
        if high != nil { replace() }
        if !bytes.count.isMultiple(of: 2) { replace() }
    }

    private mutating func append(_ value: UInt32) {
        guard let scalar = Unicode.Scalar(value) else { return replace() }
        utf8 += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }

    private mutating func replace() {
        firstReplacement = firstReplacement ?? utf8.count
        replacementCount += 1
        utf8 += [0xEF, 0xBF, 0xBD]
    }
}
