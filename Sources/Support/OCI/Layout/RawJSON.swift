import KapsuleCore

/// A JSON text cut at its outermost seams, every part still the bytes it came as.
///
/// An `index.json` belongs to whoever wrote it: what kapsule does not know must come out as it went in, which decoding
/// and encoding again would not give. The scanner follows brackets and strings; what the parts mean is decoded later.
enum RawJSON {
    /// The members of an object, in order.
    ///
    /// - Throws: `.unverified` unless `text` is one object.
    static func members(of text: [UInt8], what: String) throws -> [(name: String, value: [UInt8])] {
        var scanner = Scanner(text: text, what: what)
        try scanner.expect("{")
        var members: [(name: String, value: [UInt8])] = []
        try scanner.list(until: "}") { scanner in
            let name = try scanner.value()
            try scanner.expect(":")
            members.append((try decode(String.self, from: name, what: what), try scanner.value()))
        }
        try scanner.end()
        return members
    }

    /// The elements of an array, in order.
    ///
    /// - Throws: `.unverified` unless `text` is one array.
    static func elements(of text: [UInt8], what: String) throws -> [[UInt8]] {
        var scanner = Scanner(text: text, what: what)
        try scanner.expect("[")
        var elements: [[UInt8]] = []
        try scanner.list(until: "]") { elements.append(try $0.value()) }
        try scanner.end()
        return elements
    }

    /// The members as an object again, without a blank between tokens.
    static func object(_ members: [(name: String, value: [UInt8])]) -> [UInt8] {
        join(members.map { Array(JSON.string($0.name).compact.utf8) + [UInt8(ascii: ":")] + $0.value }, "{", "}")
    }

    static func array(_ elements: [[UInt8]]) -> [UInt8] { join(elements, "[", "]") }

    private static func join(_ parts: [[UInt8]], _ open: Unicode.Scalar, _ close: Unicode.Scalar) -> [UInt8] {
        [UInt8(ascii: open)] + parts.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: close)]
    }

    private struct Scanner {
        let text: [UInt8]
        let what: String
        var position = 0

        var next: UInt8? { position < text.count ? text[position] : nil }

        func malformed() -> KapsuleError {
            KapsuleError(
                .unverified, id: "document.malformed", "\(what) is not valid JSON: see byte \(position)",
                remedy: "it may be cut short; write it again with the tool that made it")
        }

        mutating func skipBlanks() {
            while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
        }

        mutating func expect(_ scalar: Unicode.Scalar) throws {
            skipBlanks()
            guard next == UInt8(ascii: scalar) else { throw malformed() }
            position += 1
        }

        mutating func end() throws {
            skipBlanks()
            guard next == nil else { throw malformed() }
        }

        mutating func list(until close: Unicode.Scalar, _ item: (inout Scanner) throws -> Void) throws {
            skipBlanks()
            if next == UInt8(ascii: close) {
                position += 1
                return
            }
            while true {
                try item(&self)
                skipBlanks()
                if next == UInt8(ascii: close) { break }
                try expect(",")
            }
            position += 1
        }

        /// The bytes of the next value, brackets matched by count: its insides are somebody else's to check.
        mutating func value() throws -> [UInt8] {
            skipBlanks()
            let start = position
            var depth = 0
            while let byte = next {
                switch byte {
                case UInt8(ascii: "\""): try skipString()
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    position += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return try taken(from: start) }
                    depth -= 1
                    position += 1
                    if depth == 0 { return try taken(from: start) }
                case UInt8(ascii: ","), UInt8(ascii: ":"):
                    if depth == 0 { return try taken(from: start) }
                    position += 1
                case 0x20, 0x09, 0x0A, 0x0D:
                    if depth == 0 { return try taken(from: start) }
                    position += 1
                default: position += 1
                }
            }
            guard depth == 0 else { throw malformed() }
            return try taken(from: start)
        }

        private func taken(from start: Int) throws -> [UInt8] {
            guard position > start else { throw malformed() }
            return Array(text[start..<position])
        }

        private mutating func skipString() throws {
            position += 1
            while let byte = next {
                position += byte == UInt8(ascii: "\\") ? 2 : 1
                if byte == UInt8(ascii: "\"") { return }
            }
            throw malformed()
        }
    }
}
