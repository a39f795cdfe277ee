import KapsuleCore

/// A Modelfile's text with its lines: what spans point into and what the renderer quotes from.
///
/// CRLF, LF and CR each end one line. Columns are those of the text as UTF-8 without a byte order mark, whatever
/// the file's own encoding.
public struct SourceText: Sendable, Hashable {
    public enum Encoding: Sendable, Hashable { case utf8, utf16LittleEndian, utf16BigEndian }

    /// As the person named it.
    public let file: String
    /// Well-formed UTF-8; malformed input has become U+FFFD.
    public let utf8: [UInt8]
    public let encoding: Encoding
    /// How many malformed sequences the file holds.
    public let replacementCount: Int
    /// Where in `utf8` the first U+FFFD of a malformed sequence is.
    let firstReplacement: Int?
    /// Offset of each line's first byte.
    private let lineStarts: [Int]

    /// Decodes `bytes`. Never fails: what cannot be read is replaced and counted.
    public init(bytes: [UInt8], file: String) {
        let decoded = DecodedText(bytes)
        self.file = file
        utf8 = decoded.utf8
        encoding = decoded.encoding
        replacementCount = decoded.replacementCount
        firstReplacement = decoded.firstReplacement
        lineStarts = Self.lineStarts(of: decoded.utf8)
    }

    public var lineCount: Int { lineStarts.count }

    /// The bytes of line `number`, counted from 1, without what ends it; nil past the last line.
    public func line(_ number: Int) -> ArraySlice<UInt8>? {
        guard lineStarts.indices.contains(number - 1) else { return nil }
        return utf8[lineStarts[number - 1]..<lineEnd(number)]
    }

    /// The number of the line that holds `offset`, from 1. The bytes that end a line belong to it.
    func lineNumber(at offset: Int) -> Int {
        var (low, high) = (0, lineStarts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// The span of `range`, cut off at the end of its first line.
    func span(_ range: Range<Int>) -> SourceSpan {
        let line = lineNumber(at: range.lowerBound)
        let end = max(range.lowerBound, min(range.upperBound, lineEnd(line)))
        return SourceSpan(
            file: file, line: line, column: range.lowerBound - lineStarts[line - 1] + 1,
            length: end - range.lowerBound)
    }

    /// The text of `range`, without the characters that values lose.
    func text(_ range: Range<Int>) -> String {
        let bytes = utf8[range]
        guard bytes.contains(where: CharacterClass.isDropped) else { return String(decoding: bytes, as: UTF8.self) }
        return String(decoding: bytes.filter { !CharacterClass.isDropped($0) }, as: UTF8.self)
    }

    /// Offset of the first CR or LF at or after `offset`, or of the end.
    func newline(from offset: Int) -> Int {
        var offset = offset
        while offset < utf8.count, !CharacterClass.isNewline(utf8[offset]) { offset += 1 }
        return offset
    }

    private func lineEnd(_ number: Int) -> Int {
        guard number < lineStarts.count else { return utf8.count }
        let next = lineStarts[number]
        let isPair = next >= 2 && utf8[next - 1] == 0x0A && utf8[next - 2] == 0x0D
        return max(lineStarts[number - 1], next - (isPair ? 2 : 1))
    }

    private static func lineStarts(of bytes: [UInt8]) -> [Int] {
        var starts = [0]
        for i in bytes.indices where CharacterClass.isNewline(bytes[i]) {
            let isFirstOfPair = bytes[i] == 0x0D && i + 1 < bytes.count && bytes[i + 1] == 0x0A
            if !isFirstOfPair { starts.append(i + 1) }
        }
        return starts
    }
}
