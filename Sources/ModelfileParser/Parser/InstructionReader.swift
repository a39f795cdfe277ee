import KapsuleCore

/// Goes through the text once and makes instructions of it.
///
/// ```
/// file         (blank | newline | comment | instruction)*
/// comment      '#' to the end of the line; only where an instruction could begin
/// instruction  WORD blank value
///            | PARAMETER blank+ name blank value
///            | MESSAGE blank+ role blank value
/// ```
///
/// After a mistake it goes on behind the value that the line would have had.
struct InstructionReader {
    /// So many mistakes are no slips: the rest of the file is left alone.
    private static let mistakeLimit = 100

    let source: SourceText
    var offset = 0
    private(set) var instructions: [Instruction] = []
    private(set) var diagnostics: [Diagnostic] = []
    /// Comments and blank lines since the last instruction.
    private(set) var trivia: [Instruction.Trivia] = []
    /// Whether a FROM may be in what could not be read, so that to miss it would be an echo.
    var mayHideFrom = false
    /// The last line that was not understood; the one below it is likely to be more of the same.
    var lastUnknownLine = -1
    private var mistakeCount = 0
    private var isStopped: Bool { mistakeCount > Self.mistakeLimit }

    init(source: SourceText) { self.source = source }

    mutating func readAll() {
        while !isStopped, skipToInstruction() { readInstruction() }
    }

    // MARK: Between instructions

    /// Skips blanks, newlines and comments, keeping them as trivia. False at the end of the text.
    private mutating func skipToInstruction() -> Bool {
        var newlines = instructions.isEmpty && trivia.isEmpty ? 0 : -1
        while let byte = byte(at: offset) {
            if CharacterClass.isNewline(byte) {
                newlines += 1
                offset += byte == 0x0D && self.byte(at: offset + 1) == 0x0A ? 2 : 1
            } else if CharacterClass.isBlank(byte) {
                offset += 1
            } else {
                if newlines > 0, !(instructions.isEmpty && trivia.isEmpty) { trivia.append(.blankLine) }
                guard byte == UInt8(ascii: "#") else { return true }
                readComment()
                newlines = -1
            }
        }
        return false
    }

    private mutating func readComment() {
        let end = source.newline(from: offset)
        var last = end
        while CharacterClass.isBlank(source.utf8[last - 1]) { last -= 1 }
        trivia.append(.comment(String(decoding: source.utf8[offset..<last], as: UTF8.self)))
        offset = end
    }

    // MARK: Instructions

    private mutating func readInstruction() {
        let leading = trivia
        trivia = []
        let word = readWord()
        guard let keyword = word.keyword, let next = byte(at: offset), CharacterClass.isBlank(next) else {
            recover(from: word)
            return
        }
        offset += 1
        warnOfInvisibleStart(word)
        switch keyword {
        case .parameter:
            guard let name = readParameterName() else { return }
            readValue(keyword, word.range, name: name, leading: leading)
        case .message:
            guard let role = readRole() else { return }
            readValue(keyword, word.range, name: role, leading: leading)
        case .from, .template, .system, .adapter, .license, .renderer, .parser, .requires, .draft, .exclude, .encrypt:
            readValue(keyword, word.range, name: nil, leading: leading)
        }
    }

    /// The letters an instruction begins with.
    struct Word {
        /// Without the invisible character that may stand before it.
        var range: Range<Int>
        var invisible: Unicode.Scalar?
        var keyword: InstructionWord?
    }

    /// The first character belongs to the word whatever it is, unless it is invisible; then letters.
    private mutating func readWord() -> Word {
        let (first, length) = UTF8Text.scalar(source.utf8, at: offset)
        let isVisible = CharacterClass.isVisible(first)
        let start = isVisible ? offset : offset + length
        offset += length
        while let byte = byte(at: offset), CharacterClass.isLetter(byte) { offset += 1 }
        let longest = 16
        let text = String(decoding: source.utf8[start..<min(offset, start + longest)], as: UTF8.self)
        return Word(
            range: start..<offset, invisible: isVisible ? nil : first,
            keyword: offset - start < longest ? InstructionWord(rawValue: text.uppercased()) : nil)
    }

    private mutating func readValue(
        _ keyword: InstructionWord, _ word: Range<Int>, name: Range<Int>?, leading: [Instruction.Trivia]
    ) {
        switch ValueScanner.scan(source.utf8, from: offset) {
        case .unclosed(let opening, let quoting):
            report(unclosed(opening, quoting))
            offset = source.utf8.count
            mayHideFrom = true
        case .value(let value):
            offset = value.end
            guard let content = content(of: keyword, name: name, value) else { return }
            instructions.append(
                Instruction(
                    content: content, quoting: value.quoting,
                    span: source.span(word.lowerBound..<max(word.upperBound, value.range.upperBound)),
                    wordSpan: source.span(word), nameSpan: name.map(source.span), valueSpan: source.span(value.range),
                    lastLine: source.lineNumber(at: value.range.upperBound), leading: leading))
            diagnostics += ValueWarnings(source: source, keyword: keyword, value: value).all
            if keyword == .encrypt { skipKeyBlock(after: value) }
        }
    }

    private func content(of keyword: InstructionWord, name: Range<Int>?, _ value: ScannedValue) -> Instruction.Content?
    {
        let text = value.text
        let name = name.map { String(decoding: source.utf8[$0], as: UTF8.self) } ?? ""
        switch keyword {
        case .from: return .from(text)
        case .parameter: return .parameter(name: name, value: text)
        case .template: return .template(text)
        case .system: return .system(text)
        case .adapter: return .adapter(text)
        case .license: return .license(text)
        case .message: return Instruction.MessageRole(rawValue: name).map { .message(role: $0, text: text) }
        case .renderer: return .renderer(text)
        case .parser: return .parser(text)
        case .requires: return .requires(text)
        case .draft: return .draft(text)
        case .exclude: return .exclude(patterns: words(of: value), raw: text)
        case .encrypt:
            let words = words(of: value)
            let recipient = words.first ?? Instruction.Word(text: "", span: source.span(value.range))
            return .encrypt(recipient: recipient, patterns: Array(words.dropFirst()), raw: text)
        }
    }

    /// A bare value is a list of words; a quoted one is one word, blanks included.
    private func words(of value: ScannedValue) -> [Instruction.Word] {
        guard !value.text.isEmpty else { return [] }
        guard value.quoting == .bare else {
            return [Instruction.Word(text: value.text, span: source.span(value.range))]
        }
        var words: [Instruction.Word] = []
        for part in source.utf8[value.range].split(whereSeparator: CharacterClass.isBlank) {
            let range = part.startIndex..<part.endIndex
            let text = source.text(range)
            if !text.isEmpty { words.append(Instruction.Word(text: text, span: source.span(range))) }
        }
        return words
    }

    /// The lines of a key pasted behind ENCRYPT are no instructions, and must not be shown as unknown ones.
    private mutating func skipKeyBlock(after value: ScannedValue) {
        guard value.quoting == .bare, value.text.contains("-----BEGIN") else { return }
        guard !value.text.contains("-----END") else { return }
        while offset < source.utf8.count {
            let start = offset
            offset = source.newline(from: offset)
            if source.text(start..<offset).contains("-----END") { return }
            if offset < source.utf8.count { offset += 1 }
        }
        mayHideFrom = true
    }

    // MARK: Shared with the extensions

    func byte(at offset: Int) -> UInt8? { offset < source.utf8.count ? source.utf8[offset] : nil }

    mutating func report(_ diagnostic: Diagnostic) {
        diagnostics.append(diagnostic)
        if diagnostic.severity == .error { countMistake(at: diagnostic.span) }
    }

    /// Counts a mistake, said or left unsaid; the one too many ends the reading.
    mutating func countMistake(at span: SourceSpan) {
        mistakeCount += 1
        guard isStopped else { return }
        mayHideFrom = true
        diagnostics.append(
            .error(
                "too-many-mistakes", "too many mistakes: the rest of the file was not read",
                help: "check that this is a Modelfile", at: span))
    }
}
