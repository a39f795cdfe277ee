import KapsuleCore

/// A line of a Modelfile as a terminal shows it, with a line of carets under the part that is meant.
///
/// Tabs become blanks up to the next multiple of four, wide characters take two columns, and what cannot be shown stands
/// as `\u{…}`. Of a long line only the part around the span is left.
struct SourceExcerpt {
    /// Columns that the line may take.
    private static let width = 100
    /// How many bytes on each side of the span's beginning are looked at; more than fill the width.
    private static let reach = 400

    private(set) var line = ""
    private(set) var carets = ""

    /// - Parameters:
    ///   - bytes: The line, well-formed UTF-8.
    ///   - span: Offset and length in `bytes` of what is meant; may reach past the end.
    ///   - isMasked: Whether to show `*` in its place.
    init(_ bytes: ArraySlice<UInt8>, marking span: Range<Int>, isMasked: Bool = false) {
        let start = min(span.lowerBound, bytes.count)
        let end = min(max(span.upperBound, start), bytes.count)
        let low = Self.boundary(bytes, at: max(0, start - Self.reach))
        let high = Self.boundary(bytes, at: min(bytes.count, start + Self.reach))
        let part = bytes.dropFirst(low).prefix(high - low)
        let cells = Self.cells(of: part, from: low, masking: isMasked ? start..<end : nil)
        let marked = cells.indices.filter { cells[$0].offset < max(end, start + 1) && cells[$0].end > start }
        let shown = Self.window(cells, around: marked.first ?? cells.count)
        let (cutsFront, cutsBack) = (
            low > 0 || shown.lowerBound > 0, high < bytes.count || shown.upperBound < cells.count
        )
        line = (cutsFront ? "…" : "") + cells[shown].map(\.text).joined() + (cutsBack ? "…" : "")
        var before = cutsFront ? 1 : 0
        var under = 0
        for index in shown {
            if marked.contains(index) {
                under += cells[index].width
            } else if under == 0 {
                before += cells[index].width
            }
        }
        carets = String(repeating: " ", count: before) + String(repeating: "^", count: max(1, under))
    }

    /// One character as it is shown.
    private struct Cell {
        /// Of its bytes in the line.
        var offset: Int
        var end: Int
        var text: String
        var width: Int
    }

    /// The nearest boundary of a scalar at or before `offset` in the line.
    private static func boundary(_ bytes: ArraySlice<UInt8>, at offset: Int) -> Int {
        var offset = offset
        while offset > 0, offset < bytes.count, bytes[bytes.startIndex + offset] & 0xC0 == 0x80 { offset -= 1 }
        return offset
    }

    private static func cells(
        of bytes: ArraySlice<UInt8>, from offset: Int, masking masked: Range<Int>?
    ) -> [Cell] {
        var cells: [Cell] = []
        var (offset, column) = (offset, 0)
        for character in String(decoding: bytes, as: UTF8.self) {
            let end = offset + character.utf8.count
            var cell = Cell(
                offset: offset, end: end, text: String(character), width: TerminalWidth.columns(of: character))
            if let masked, masked.overlaps(offset..<end) {
                (cell.text, cell.width) = ("*", 1)
            } else if character == "\t" {
                cell.width = 4 - column % 4
                cell.text = String(repeating: " ", count: cell.width)
            } else if let escaped = TerminalWidth.escaped(character) {
                (cell.text, cell.width) = (escaped, TerminalWidth.columns(of: escaped))
            }
            cells.append(cell)
            column += cell.width
            offset = end
        }
        return cells
    }

    /// The cells that fit, with a third of the width in front of the marked one.
    private static func window(_ cells: [Cell], around mark: Int) -> Range<Int> {
        func fits(_ range: Range<Int>) -> Bool { cells[range].reduce(0) { $0 + $1.width } <= width }
        guard !fits(cells.indices) else { return cells.indices }
        var start = mark
        var used = 0
        while start > 0, used + cells[start - 1].width <= width / 3 {
            start -= 1
            used += cells[start].width
        }
        var end = start
        used = 0
        while end < cells.count, used + cells[end].width <= width {
            used += cells[end].width
            end += 1
        }
        return start..<end
    }
}

/// How many columns of a terminal text takes.
enum TerminalWidth {
    static func columns(of text: String) -> Int { text.reduce(0) { $0 + columns(of: $1) } }

    /// 2 for wide East Asian characters and pictures, 1 for others, 0 for what only changes its neighbour.
    static func columns(of character: Character) -> Int {
        let scalars = character.unicodeScalars
        guard let first = scalars.first else { return 0 }
        if first.isASCII, scalars.count == 1 { return 1 }
        let isPicture = scalars.contains { $0.properties.isEmojiPresentation || $0 == "\u{FE0F}" }
        if isPicture || scalars.contains(where: isWide) { return 2 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return 1
        }
    }

    /// The character with what cannot be shown written out; nil if all of it can be.
    static func escaped(_ character: Character) -> String? {
        let scalars = character.unicodeScalars
        // Joiners and tags inside a picture are part of it.
        let isPicture = scalars.contains { $0.properties.isEmojiPresentation || $0 == "\u{FE0F}" }
        guard !isPicture, scalars.contains(where: Printable.mustBeEscaped) else { return nil }
        return Printable.escaped(String(character))
    }

    /// Source: Unicode `EastAsianWidth.txt`, the blocks of `W` and `F`.
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case ..<0x1100: false
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1B000...0x1B2FF, 0x20000...0x3FFFD:
            true
        default: false
        }
    }
}
