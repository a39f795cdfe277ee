import KapsuleCore

/// What is odd about a value, though it can be read.
struct ValueWarnings {
    let source: SourceText
    let keyword: InstructionWord
    let value: ScannedValue

    var all: [Diagnostic] { [droppedCharacter, textAfterQuotes, invisibleCharacter, openTemplate].compactMap(\.self) }

    private var droppedCharacter: Diagnostic? {
        guard let offset = value.firstDropped else { return nil }
        let scalar = Unicode.Scalar(source.utf8[offset])
        return .warning(
            "control-character", "the control character \(Printable.codePoint(scalar)) is left out of the value",
            help: "delete it", at: source.span(offset..<offset + 1))
    }

    /// Quotes that look like the end of the value but are not, so that the lines below became part of it.
    private var textAfterQuotes: Diagnostic? {
        let count = value.quoting.mark.utf8.count
        guard value.quoting != .bare else { return nil }
        let inner = value.range.lowerBound + count..<value.range.upperBound - count
        let firstLineEnd = source.newline(from: inner.lowerBound)
        guard firstLineEnd < inner.upperBound else { return nil }
        let searched = value.quoting == .triple ? inner : inner.lowerBound..<firstLineEnd
        guard let quotes = source.firstQuotes(count, in: searched) else { return nil }
        return .warning(
            "text-after-quotes",
            "text follows these quotes, so they do not close the value, which ends on line \(source.lineNumber(at: value.range.upperBound))",
            help: "if the value should end here, let nothing follow the quotes",
            at: source.span(quotes..<quotes + count))
    }

    /// Characters that nobody sees and few mean. In prose only those that are never part of it.
    private var invisibleCharacter: Diagnostic? {
        guard keyword != .license else { return nil }
        var found: (offset: Int, length: Int, scalar: Unicode.Scalar)?
        var count = 0
        var offset = value.range.lowerBound
        // The value's range leaves out what was trimmed; that may be what somebody has to know of.
        while offset < value.end {
            guard source.utf8[offset] >= 0x80 else {
                offset += 1
                continue
            }
            let (scalar, length) = UTF8Text.scalar(source.utf8, at: offset)
            if isSuspicious(scalar) {
                found = found ?? (offset, length, scalar)
                count += 1
            }
            offset += length
        }
        guard let found else { return nil }
        let others = count == 1 ? "" : " and \(count - 1) more like it"
        return .warning(
            "invisible-character",
            "the value holds the invisible character \(Printable.codePoint(found.scalar))\(others), which Ollama would delete",
            help: found.scalar.properties.generalCategory == .spaceSeparator ? "write an ordinary blank" : "delete it",
            at: source.span(found.offset..<found.offset + found.length))
    }

    /// A template that Ollama would not take. Warned of only, for other runtimes read no Go templates.
    private var openTemplate: Diagnostic? {
        guard keyword == .template else { return nil }
        let count = value.quoting.mark.utf8.count
        let inner = value.range.lowerBound + count..<value.range.upperBound - count
        guard let problem = TemplateBraces.problem(in: source.utf8[inner]) else { return nil }
        return .warning(problem.id, problem.message, help: problem.help, at: source.span(problem.range))
    }

    private func isSuspicious(_ scalar: Unicode.Scalar) -> Bool {
        if keyword.takesText { return ["\u{A0}", "\u{200B}", "\u{2060}", "\u{FEFF}"].contains(scalar) }
        switch scalar.properties.generalCategory {
        case .control, .format, .spaceSeparator, .lineSeparator, .paragraphSeparator: return true
        default: return false
        }
    }
}
