/// A value as it stands in the text.
struct ScannedValue {
    /// What the quotes hold, or the trimmed line; dropped characters are gone.
    var text: String
    var quoting: Quoting
    /// From the first to past the last character that was not trimmed, quotes included.
    var range: Range<Int>
    /// Offset of the newline that ends the value, or of the end of the text.
    var end: Int
    /// Where the first dropped character is.
    var firstDropped: Int?
}

/// Reads one value.
///
/// ```
/// bare      to the end of the line, trimmed
/// "…"       to the first line whose trimmed end is a quote
/// """…"""   the same with three; what is between is kept byte for byte
/// ```
///
/// Nothing escapes. Quotes followed by anything but blanks have not closed the value; it goes on.
///
/// - Complexity: linear, also in an unclosed quote. Ollama looks at the whole trimmed buffer at each newline; but what
///   it starts with is settled by the first line, and a blank line moves its trimmed end nowhere. So only the end of a
///   line that is not blank is looked at, once.
///
/// Source: Ollama `parser/parser.go`, `unquote` and the `stateValue` of `ParseFile`.
struct ValueScanner {
    enum Outcome {
        case value(ScannedValue)
        /// The text ended first. `opening` is the range of the opening quotes.
        case unclosed(opening: Range<Int>, Quoting)
    }

    private let bytes: [UInt8]
    private var buffer: [UInt8] = []
    private var firstDropped: Int?

    /// Reads the value that starts at `start`.
    static func scan(_ bytes: [UInt8], from start: Int) -> Outcome {
        var scanner = ValueScanner(bytes: bytes)
        return scanner.scan(from: start)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func scan(from start: Int) -> Outcome {
        let lineEnd = takeLine(from: start)
        let first = UTF8Text.trim(buffer, 0..<buffer.count)
        let range = UTF8Text.trim(bytes, start..<lineEnd, droppingControls: true)
        let quoting = Self.quoting(of: buffer[first])
        guard quoting != .bare else { return .value(value(first, .bare, range: range, end: lineEnd)) }
        return scanQuoted(quoting, in: first, range, firstLineEnd: lineEnd)
    }

    /// - Parameters:
    ///   - first: What was not trimmed of the first line, in `buffer`.
    ///   - range: The same, in `bytes`.
    private mutating func scanQuoted(
        _ quoting: Quoting, in first: Range<Int>, _ range: Range<Int>, firstLineEnd: Int
    ) -> Outcome {
        let quotes = quoting.mark.utf8.count
        var (last, lineStart, lineEnd) = (first, range.lowerBound, firstLineEnd)
        while true {
            let isLongEnough = last.upperBound - first.lowerBound >= 2 * quotes
            if !last.isEmpty, isLongEnough, buffer[..<last.upperBound].hasQuotes(quotes) {
                let end = UTF8Text.trim(bytes, lineStart..<lineEnd, droppingControls: true).upperBound
                let inner = first.lowerBound + quotes..<last.upperBound - quotes
                return .value(value(inner, quoting, range: range.lowerBound..<end, end: lineEnd))
            }
            guard lineEnd < bytes.count else {
                return .unclosed(opening: range.lowerBound..<range.lowerBound + quotes, quoting)
            }
            buffer.append(bytes[lineEnd])
            lineStart = lineEnd + 1
            let bufferStart = buffer.count
            lineEnd = takeLine(from: lineStart)
            last = UTF8Text.trim(buffer, bufferStart..<buffer.count)
        }
    }

    private static func quoting(of line: ArraySlice<UInt8>) -> Quoting {
        if line.starts(with: Quoting.triple.mark.utf8) { return .triple }
        return line.starts(with: Quoting.double.mark.utf8) ? .double : .bare
    }

    /// Appends a line to the buffer, less what is dropped. Returns the offset of its end.
    private mutating func takeLine(from start: Int) -> Int {
        var kept = start
        var i = start
        while i < bytes.count {
            if bytes[i] < 0x20 {
                if CharacterClass.isNewline(bytes[i]) { break }
                if CharacterClass.isDropped(bytes[i]) {
                    firstDropped = firstDropped ?? i
                    buffer += bytes[kept..<i]
                    kept = i + 1
                }
            }
            i += 1
        }
        buffer += bytes[kept..<i]
        return i
    }

    private func value(_ inner: Range<Int>, _ quoting: Quoting, range: Range<Int>, end: Int) -> ScannedValue {
        ScannedValue(
            text: String(decoding: buffer[inner], as: UTF8.self), quoting: quoting, range: range, end: end,
            firstDropped: firstDropped)
    }
}

extension ArraySlice<UInt8> {
    /// Whether the last `count` bytes are double quotes.
    fileprivate func hasQuotes(_ count: Int) -> Bool {
        self.count >= count && suffix(count).allSatisfy { $0 == UInt8(ascii: "\"") }
    }
}
