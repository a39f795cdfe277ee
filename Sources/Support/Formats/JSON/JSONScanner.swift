internal import KapsuleCore

/// Reads JSON from a source value by value, and keeps only what its caller takes: headers may have 100 MB.
///
/// What it passes by is checked as strictly as what it gives: the grammar, escapes and UTF-8.
///
/// Source: RFC 8259. As serde_json, which reads safetensors, it wants surrogates in pairs and stops at 128 levels.
struct JSONScanner {
    static let deepest = 128

    enum Kind { case object, array, string, number, bool, null }

    private(set) var cursor: SourceCursor
    /// Completes `FILE …` in errors: `has a header that is no JSON`.
    private let phrase: String
    /// Where the text begins in the source.
    private let start: Int64
    private var depth = 0
    private var scratch: [UInt8] = []

    /// - Parameter cursor: where the text begins; it ends where the cursor does.
    init(_ cursor: SourceCursor, phrase: String) {
        self.cursor = cursor
        self.phrase = phrase
        start = cursor.position
    }

    // MARK: What comes

    /// Of the next value, which is not taken.
    mutating func kind() throws -> Kind {
        switch try next() {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        default: throw unexpected()
        }
    }

    /// A whole document of its own.
    ///
    /// - Parameters:
    ///   - what: names the document in errors.
    ///   - limit: longest that is read, in bytes.
    init(document source: any ByteSource, what: String, limit: Int64) throws {
        guard source.size <= limit else {
            throw KapsuleError(
                .unverified, id: "json.too-long",
                "\(what) has \(ByteCount.text(source.size)), more than the \(ByteCount.text(limit)) that are read of such a file"
            )
        }
        self.init(SourceCursor(source, what: what, format: "json", limit: limit), phrase: "is no JSON")
    }

    /// Checks that nothing but blanks is left.
    mutating func finish() throws {
        try skipBlanks()
        guard try cursor.peek() == nil else { throw unexpected("after the end of the document") }
    }

    // MARK: Values

    /// - Parameter member: is called for each member, in order, and takes its value.
    mutating func object(_ member: (_ name: String, inout JSONScanner) throws -> Void) throws {
        try enter(UInt8(ascii: "{"))
        var isFirst = true
        while try continues(until: UInt8(ascii: "}"), &isFirst) {
            let name = try string(limit: 65536)
            try expect(UInt8(ascii: ":"))
            try member(name, &self)
        }
    }

    /// - Parameter element: is called for each element, in order, and takes it.
    mutating func array(_ element: (inout JSONScanner) throws -> Void) throws {
        try enter(UInt8(ascii: "["))
        var isFirst = true
        while try continues(until: UInt8(ascii: "]"), &isFirst) { try element(&self) }
    }

    /// - Parameter limit: most bytes of the text that are kept; a longer one is an error.
    mutating func string(limit: Int) throws -> String {
        scratch.removeAll(keepingCapacity: true)
        try scanString { byte, scanner in
            guard scanner.scratch.count < limit else {
                throw scanner.refusal("string-limit", "a text of more than \(limit) bytes")
            }
            scanner.scratch.append(byte)
        }
        return String(decoding: scratch, as: UTF8.self)
    }

    /// A whole number that is not negative, without a fraction or an exponent; nil for any other value.
    mutating func unsigned() throws -> UInt64? {
        guard try kind() == .number else {
            try skip()
            return nil
        }
        scratch.removeAll(keepingCapacity: true)
        try scanNumber { byte, scanner in if scanner.scratch.count < 32 { scanner.scratch.append(byte) } }
        guard scratch.count < 32, scratch.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(String(decoding: scratch, as: UTF8.self))
    }

    /// The text of a string; nil for any other value.
    mutating func text(limit: Int) throws -> String? {
        if try kind() == .string { return try string(limit: limit) }
        try skip()
        return nil
    }

    mutating func bool() throws -> Bool? {
        guard try kind() == .bool else {
            try skip()
            return nil
        }
        let isTrue = try cursor.peek() == UInt8(ascii: "t")
        try word(isTrue ? "true" : "false")
        return isTrue
    }

    /// The text of a string, a number as it is written, `true` or `false`; nil for any other value.
    mutating func scalar(limit: Int) throws -> String? {
        switch try kind() {
        case .string: return try string(limit: limit)
        case .bool: return try bool() == true ? "true" : "false"
        case .number:
            scratch.removeAll(keepingCapacity: true)
            try scanNumber { byte, scanner in if scanner.scratch.count < limit { scanner.scratch.append(byte) } }
            return String(decoding: scratch, as: UTF8.self)
        case .object, .array, .null:
            try skip()
            return nil
        }
    }

    /// Makes sure that the document is an object.
    mutating func requireObject(_ what: String) throws {
        guard try kind() == .object else {
            throw KapsuleError(
                .unverified, id: "config.no-object", "\(what) is no JSON object",
                remedy: "the file is damaged: fetch it again")
        }
    }

    /// Passes the next value by.
    mutating func skip() throws {
        switch try kind() {
        case .object: try object { _, scanner in try scanner.skip() }
        case .array: try array { scanner in try scanner.skip() }
        case .string: try scanString { _, _ in }
        case .number: try scanNumber { _, _ in }
        case .bool: _ = try bool()
        case .null: try word("null")
        }
    }

    // MARK: Errors

    func refusal(_ id: String, _ why: String) -> KapsuleError {
        cursor.refusal(id, "\(phrase): \(why), at byte \(cursor.position - start)")
    }

    private mutating func unexpected(_ place: String = "where a value should be") -> KapsuleError {
        guard let byte = try? cursor.peek() else {
            return refusal("json", "it ends too early")
        }
        let shown = (0x21...0x7E).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "0x\(Hex.encode([byte]))"
        return refusal("json", "\(shown) \(place)")
    }

    // MARK: Structure

    private mutating func skipBlanks() throws {
        while let byte = try cursor.peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            cursor.advance()
        }
    }

    private mutating func next() throws -> UInt8 {
        try skipBlanks()
        guard let byte = try cursor.peek() else { throw unexpected() }
        return byte
    }

    private mutating func expect(_ wanted: UInt8) throws {
        guard try next() == wanted else {
            throw unexpected("where '\(Character(Unicode.Scalar(wanted)))' should be")
        }
        cursor.advance()
    }

    private mutating func enter(_ open: UInt8) throws {
        try expect(open)
        depth += 1
        guard depth <= Self.deepest else { throw refusal("json-depth", "more than \(Self.deepest) levels") }
    }

    /// Whether another item follows; takes the comma before it, or the bracket that closes.
    private mutating func continues(until close: UInt8, _ isFirst: inout Bool) throws -> Bool {
        if try next() == close {
            cursor.advance()
            depth -= 1
            return false
        }
        if !isFirst {
            try expect(UInt8(ascii: ","))
            if try next() == close { throw unexpected("after a comma") }
        }
        isFirst = false
        return true
    }

    private mutating func word(_ word: StaticString) throws {
        for byte in "\(word)".utf8 {
            guard try cursor.peek() == byte else { throw unexpected() }
            cursor.advance()
        }
    }

    // MARK: Numbers

    private mutating func scanNumber(_ take: (UInt8, inout JSONScanner) throws -> Void) throws {
        if try cursor.peek() == UInt8(ascii: "-") { try pass(take) }
        if try cursor.peek() == UInt8(ascii: "0") { try pass(take) } else { try digits(take) }
        if try cursor.peek() == UInt8(ascii: ".") {
            try pass(take)
            try digits(take)
        }
        if let byte = try cursor.peek(), byte | 0x20 == UInt8(ascii: "e") {
            try pass(take)
            if let sign = try cursor.peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { try pass(take) }
            try digits(take)
        }
        if let byte = try cursor.peek(), (0x30...0x39).contains(byte) { throw unexpected("within a number") }
    }

    private mutating func pass(_ take: (UInt8, inout JSONScanner) throws -> Void) throws {
        guard let byte = try cursor.peek() else { throw unexpected() }
        try take(byte, &self)
        cursor.advance()
    }

    private mutating func digits(_ take: (UInt8, inout JSONScanner) throws -> Void) throws {
        guard let byte = try cursor.peek(), (0x30...0x39).contains(byte) else { throw unexpected("within a number") }
        while let byte = try cursor.peek(), (0x30...0x39).contains(byte) { try pass(take) }
    }

    // MARK: Strings

    private mutating func scanString(_ take: (UInt8, inout JSONScanner) throws -> Void) throws {
        try expect(UInt8(ascii: "\""))
        var utf8 = UTF8Check()
        while true {
            guard let byte = try cursor.peek() else { throw unexpected() }
            guard utf8.accepts(byte) else { throw refusal("utf8", "bytes that are no UTF-8") }
            switch byte {
            case UInt8(ascii: "\""):
                cursor.advance()
                return
            case UInt8(ascii: "\\"):
                cursor.advance()
                try escape(take)
            case 0..<0x20: throw unexpected("within a text")
            default:
                try take(byte, &self)
                cursor.advance()
            }
        }
    }

    private mutating func escape(_ take: (UInt8, inout JSONScanner) throws -> Void) throws {
        guard let byte = try cursor.peek() else { throw unexpected() }
        if let character = Self.escaped(byte) {
            try take(character, &self)
            return cursor.advance()
        }
        guard byte == UInt8(ascii: "u") else { throw unexpected("after a backslash") }
        cursor.advance()
        var value = try hexDigits()
        if (0xD800..<0xDC00).contains(value) {
            for wanted in [UInt8(ascii: "\\"), UInt8(ascii: "u")] {
                guard try cursor.peek() == wanted else { throw refusal("json", "half of a character") }
                cursor.advance()
            }
            let low = try hexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw refusal("json", "half of a character") }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw refusal("json", "half of a character") }
        for byte in String(scalar).utf8 { try take(byte, &self) }
    }

    /// What a letter behind a backslash stands for; nil for those that stand for nothing, and for `u`.
    private static func escaped(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): letter
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    private mutating func hexDigits() throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = try cursor.peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw unexpected("within an escape")
            }
            value = value << 4 | UInt32(digit)
            cursor.advance()
        }
        return value
    }
}

/// Whether bytes, one after another, are UTF-8.
///
/// Source: Unicode 15, table 3-7.
private struct UTF8Check {
    private var left = 0
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    mutating func accepts(_ byte: UInt8) -> Bool {
        if left > 0 {
            guard (lowest...highest).contains(byte) else { return false }
            (left, lowest, highest) = (left - 1, 0x80, 0xBF)
            return true
        }
        switch byte {
        case 0..<0x80: return true
        case 0xC2...0xDF: left = 1
        case 0xE0: (left, lowest) = (2, 0xA0)
        case 0xED: (left, highest) = (2, 0x9F)
        case 0xE1...0xEF: left = 2
        case 0xF0: (left, lowest) = (3, 0x90)
        case 0xF4: (left, highest) = (3, 0x8F)
        case 0xF1...0xF3: left = 3
        default: return false
        }
        return true
    }
}
