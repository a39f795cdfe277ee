/// ASN.1 in its distinguished encoding: the handful of types that keys, certificates and PKCS#7 are made of.
///
/// Source: ITU-T X.690.
enum DER {
    static let integer: UInt8 = 0x02
    static let bitString: UInt8 = 0x03
    static let octetString: UInt8 = 0x04
    static let objectIdentifier: UInt8 = 0x06
    static let sequence: UInt8 = 0x30
    static let set: UInt8 = 0x31

    // MARK: Writing

    static func element(_ tag: UInt8, _ content: [UInt8]...) -> [UInt8] {
        let content = Array(content.joined())
        return [tag] + length(content.count) + content
    }

    static func sequence(_ parts: [UInt8]...) -> [UInt8] { element(sequence, Array(parts.joined())) }

    /// - Parameter magnitude: unsigned, most significant byte first.
    static func integer(_ magnitude: [UInt8]) -> [UInt8] {
        var bytes = Array(magnitude.drop { $0 == 0 })
        if bytes.first.map({ $0 & 0x80 != 0 }) ?? true { bytes.insert(0, at: 0) }
        return element(integer, bytes)
    }

    static func integer(_ value: UInt8) -> [UInt8] { integer([value]) }

    /// - Parameter arcs: two at least; the first two make one byte.
    static func objectIdentifier(_ arcs: [UInt32]) -> [UInt8] { element(objectIdentifier, oidContent(arcs)) }

    /// The content of an object identifier, to compare with.
    static func oidContent(_ arcs: [UInt32]) -> [UInt8] {
        [UInt8(arcs[0] * 40 + arcs[1])]
            + arcs.dropFirst(2).flatMap { arc -> [UInt8] in
                var digits = [UInt8(arc & 0x7F)]
                var rest = arc >> 7
                while rest > 0 {
                    digits.insert(UInt8(rest & 0x7F) | 0x80, at: 0)
                    rest >>= 7
                }
                return digits
            }
    }

    static func bitString(_ bytes: [UInt8]) -> [UInt8] { element(bitString, [0], bytes) }

    private static func length(_ count: Int) -> [UInt8] {
        guard count >= 0x80 else { return [UInt8(count)] }
        var digits: [UInt8] = []
        var rest = count
        while rest > 0 {
            digits.insert(UInt8(rest & 0xFF), at: 0)
            rest >>= 8
        }
        return [0x80 | UInt8(digits.count)] + digits
    }

    // MARK: Reading

    struct Element {
        let tag: UInt8
        let content: ArraySlice<UInt8>
        /// Tag, length and content.
        let whole: ArraySlice<UInt8>

        /// What is inside.
        var reader: Reader { Reader(content) }
    }

    struct Malformed: Error {}

    /// Reads elements one after another.
    struct Reader {
        private(set) var rest: ArraySlice<UInt8>

        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }
        init(_ bytes: [UInt8]) { rest = bytes[...] }

        var isAtEnd: Bool { rest.isEmpty }
        var nextTag: UInt8? { rest.first }

        mutating func next() throws(Malformed) -> Element {
            let start = rest.startIndex
            guard rest.count >= 2, rest[start] & 0x1F != 0x1F else { throw Malformed() }
            var position = start + 2
            var count = Int(rest[start + 1])
            if count >= 0x80 {
                let digits = count & 0x7F
                guard (1...4).contains(digits), rest.endIndex - position >= digits else { throw Malformed() }
                count = rest[position..<position + digits].reduce(0) { $0 << 8 | Int($1) }
                position += digits
            }
            guard rest.endIndex - position >= count else { throw Malformed() }
            let element = Element(
                tag: rest[start], content: rest[position..<position + count], whole: rest[start..<position + count])
            rest = rest[(position + count)...]
            return element
        }

        mutating func next(_ tag: UInt8) throws(Malformed) -> Element {
            let element = try next()
            guard element.tag == tag else { throw Malformed() }
            return element
        }

        /// The next element where it has this tag.
        mutating func optional(_ tag: UInt8) throws(Malformed) -> Element? { nextTag == tag ? try next() : nil }
    }

    /// All of `bytes` as one element.
    static func only(_ bytes: [UInt8], _ tag: UInt8 = sequence) throws(Malformed) -> Element {
        var reader = Reader(bytes)
        let element = try reader.next(tag)
        guard reader.isAtEnd else { throw Malformed() }
        return element
    }
}
