import KapsuleCore

/// Reads Modelfiles: Ollama's grammar, with EXCLUDE and ENCRYPT.
///
/// What Ollama reads is read the same way and what it refuses is refused, with these differences, all in places where
/// Ollama's answer is an accident:
///
/// - several blanks may follow PARAMETER and MESSAGE;
/// - characters outside Ollama's categories stay in values, but for C0 controls; those nobody sees earn a warning;
/// - a CRLF is one line end where lines are counted;
/// - `PARAMETER model …` is an unknown parameter, not a FROM;
/// - FROM, ADAPTER and DRAFT do not take an empty value, and infinities are not numbers.
///
/// Source: Ollama `parser/parser.go`, v0.33.
public enum Parser {
    /// Reads a file and checks all that can be checked without looking at anything else.
    ///
    /// Reports every independent mistake. Never fails and never traps, whatever the bytes.
    ///
    /// - Parameter file: As the person named it; `-` for standard input.
    /// - Complexity: linear in `bytes`.
    public static func parse(bytes: [UInt8], file: String) -> ParseResult {
        let source = SourceText(bytes: bytes, file: file)
        var reader = InstructionReader(source: source)
        reader.readAll()
        let modelfile = Modelfile(instructions: reader.instructions, trailing: reader.trivia)
        var diagnostics = encodingProblems(of: source, bytes, hasErrors: !reader.diagnostics.isEmpty)
        let isUnreadable = diagnostics.contains { $0.severity == .error }
        if !isUnreadable {
            diagnostics += reader.diagnostics
            diagnostics += modelfile.problems
            if !reader.mayHideFrom { diagnostics += missingFrom(in: modelfile, source) }
        }
        return ParseResult(source: source, modelfile: modelfile, diagnostics: diagnostics.inFileOrder())
    }

    /// Reads text that is already in memory.
    public static func parse(_ text: String, file: String = "Modelfile") -> ParseResult {
        parse(bytes: Array(text.utf8), file: file)
    }

    private static func missingFrom(in modelfile: Modelfile, _ source: SourceText) -> [Diagnostic] {
        guard !modelfile.instructions.contains(where: { $0.word == .from }) else { return [] }
        return [
            .error(
                "missing-from", "no FROM line: nothing says which model this is about",
                help: "add a line such as 'FROM ./model.gguf' or 'FROM hf://ORG/NAME@COMMIT'",
                at: SourceSpan(file: source.file, line: 1, column: 1, length: 0))
        ]
    }

    private static func encodingProblems(of source: SourceText, _ bytes: [UInt8], hasErrors: Bool) -> [Diagnostic] {
        if hasErrors, isUnmarkedUTF16(bytes) {
            return [
                .error(
                    "unmarked-utf16", "the file looks like UTF-16 but does not begin with a byte order mark",
                    help: "save the file as UTF-8",
                    at: SourceSpan(file: source.file, line: 1, column: 1, length: 0))
            ]
        }
        guard let first = source.firstReplacement else { return [] }
        let count = source.replacementCount
        return [
            .warning(
                "malformed-text",
                count == 1
                    ? "the file holds bytes that are no text, read as U+FFFD"
                    : "the file holds \(count) sequences of bytes that are no text, each read as U+FFFD",
                help: "save the file as UTF-8", at: source.span(first..<first + 3))
        ]
    }

    /// Two ASCII characters, each beside a NUL. Only asked of what is already refused.
    private static func isUnmarkedUTF16(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 4 else { return false }
        let zeros = bytes[0..<4].map { $0 == 0 }
        return zeros == [false, true, false, true] || zeros == [true, false, true, false]
    }
}
