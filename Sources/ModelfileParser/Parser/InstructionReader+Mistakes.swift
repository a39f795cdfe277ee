import KapsuleCore

/// What is said about lines that are no instructions, and how reading goes on behind them.
extension InstructionReader {
    /// Reports what is wrong with the line that begins with `word` and skips the value it may have.
    mutating func recover(from word: Word) {
        let next = byte(at: offset)
        let isAtEnd = next.map(CharacterClass.isNewline) ?? true
        if let keyword = word.keyword {
            if keyword == .from { mayHideFrom = true }
            if isAtEnd { return report(missingValue(keyword, word.range)) }
            if let next, ":=\"".utf8.contains(next) { return reportMissingBlank(keyword, next) }
        }
        let token = takeToken(from: word.range.lowerBound)
        if token.isEmpty || word.range.isEmpty, let invisible = word.invisible {
            reportStray(invisible, before: word.range.lowerBound)
        } else {
            reportUnknown(token)
        }
        skipValue()
    }

    private func missingValue(_ keyword: InstructionWord, _ word: Range<Int>) -> Diagnostic {
        .error(
            "missing-value", "\(keyword.rawValue) has no value",
            help: "write the value behind \(keyword.rawValue), on the same line", at: source.span(word))
    }

    private mutating func reportMissingBlank(_ keyword: InstructionWord, _ mark: UInt8) {
        let shown = String(Character(Unicode.Scalar(mark)))
        report(
            .error(
                "missing-blank", "a blank has to follow \(keyword.rawValue), not \(Printable.quoted(shown))",
                help: "write '\(keyword.rawValue) VALUE'", at: source.span(offset..<offset + 1)))
        if mark != UInt8(ascii: "\"") { offset += 1 }
        skipValue()
    }

    private mutating func reportStray(_ invisible: Unicode.Scalar, before offset: Int) {
        let start = UTF8Text.boundary(source.utf8, at: offset - 1)
        mayHideFrom = true
        report(
            .error(
                "stray-character",
                "the invisible character \(Printable.codePoint(invisible)) stands where an instruction should",
                help: "delete it", at: source.span(start..<offset)))
    }

    private mutating func reportUnknown(_ token: Range<Int>) {
        let line = source.lineNumber(at: token.lowerBound)
        let typed = text(token)
        let letters = typed.utf8.count <= 24 ? typed : ""
        let nearest = Suggestion.nearest(to: letters, among: InstructionWord.allCases.map(\.rawValue))
        let isEcho = nearest == nil && Self.foreign[typed.uppercased()] == nil && line == lastUnknownLine + 1
        lastUnknownLine = line
        if nearest == InstructionWord.from.rawValue { mayHideFrom = true }
        guard !isEcho else { return countMistake(at: source.span(token)) }
        report(
            .error(
                "unknown-instruction", "unknown instruction \(Printable.quoted(typed, limit: 40))",
                help: help(for: typed, at: line, nearest), at: source.span(token)))
    }

    private func help(for typed: String, at line: Int, _ nearest: String?) -> String {
        if let known = Self.foreign[typed.uppercased()] { return known }
        if let nearest { return "did you mean \(nearest)?" }
        if let last = instructions.last, last.lastLine == line - 1, last.quoting == .bare, last.word.takesText {
            return
                "put \"\"\" before and behind the value of \(last.word.rawValue) on line \(last.span.line) if it goes on here"
        }
        return "the instructions are \(InstructionWord.list)"
    }

    /// What people try, and what to do instead.
    private static let foreign = [
        "ENV": "Modelfiles have no variables; delete the line",
        "ARG": "Modelfiles have no variables; delete the line",
        "INCLUDE": "Modelfiles cannot include others; copy the lines here",
        "TOOLS": "tools are described in the TEMPLATE, with {{ .Tools }}",
        "EMBED": "EMBED was removed from Ollama; delete the line",
        "PROMPT": "PROMPT was removed from Ollama; write TEMPLATE, with {{ .Prompt }} where the prompt goes",
        "```": "delete the Markdown fences",
    ]

    mutating func warnOfInvisibleStart(_ word: Word) {
        guard let invisible = word.invisible else { return }
        let start = UTF8Text.boundary(source.utf8, at: word.range.lowerBound - 1)
        report(
            .warning(
                "invisible-character",
                "the invisible character \(Printable.codePoint(invisible)) before the instruction is ignored",
                help: "delete it", at: source.span(start..<word.range.lowerBound)))
    }

    /// Goes on behind the value that starts here. A single quote that nothing closes is taken for prose.
    mutating func skipValue() {
        switch ValueScanner.scan(source.utf8, from: offset) {
        case .value(let value): offset = value.end
        case .unclosed(_, .double): offset = source.newline(from: offset)
        case .unclosed(let opening, let quoting):
            report(unclosed(opening, quoting))
            offset = source.utf8.count
            mayHideFrom = true
        }
    }

    func unclosed(_ opening: Range<Int>, _ quoting: Quoting) -> Diagnostic {
        let mark = quoting.mark
        let rest = opening.upperBound..<source.utf8.count
        let line = source.lineNumber(at: opening.lowerBound)
        var help = "end the value with \(mark), as the last thing on its line"
        if let other = source.firstQuotes(mark.utf8.count, in: rest) {
            help =
                "the \(mark) on line \(source.lineNumber(at: other)) does not close it: nothing may follow on that line"
        }
        return .error(
            "unclosed-quote", "the \(mark) opened on line \(line) is never closed", help: help, at: source.span(opening)
        )
    }
}

extension SourceText {
    /// Offset of the first run of at least `count` double quotes in `range`.
    func firstQuotes(_ count: Int, in range: Range<Int>) -> Int? {
        var run = 0
        for i in range {
            run = utf8[i] == UInt8(ascii: "\"") ? run + 1 : 0
            if run == count { return i + 1 - count }
        }
        return nil
    }
}
