import KapsuleCore
import ModelfileParser
import Testing

/// What people see: diagnostics, canonical text, JSON.
@Suite struct PrintingTests {
    private static func shown(_ line: String, column: Int, length: Int, id: String = "x") -> String {
        let source = SourceText(bytes: Array(line.utf8), file: "Modelfile")
        let span = SourceSpan(file: "Modelfile", line: 1, column: column, length: length)
        let error = KapsuleError(.usage, id: id, "m", at: span)
        return DiagnosticRenderer(source: source).render(error)
    }

    @Test func showsTheLineAndACaret() {
        let source = SourceText(bytes: Array("# c\n\nFROM hf://meta-llama/L@4e20de3\n".utf8), file: "Modelfile")
        let error = KapsuleError(
            .unauthorized, id: "hub.gated", "cannot fetch it", remedy: "accept the licence",
            at: SourceSpan(file: "Modelfile", line: 3, column: 6, length: 25))
        #expect(
            DiagnosticRenderer(source: source).render(error) == """
                Modelfile:3:6: error: cannot fetch it
                  3 | FROM hf://meta-llama/L@4e20de3
                    |      ^^^^^^^^^^^^^^^^^^^^^^^^^
                help: accept the licence
                """)
    }

    @Test(arguments: [
        ("tab", "FROM\tx", 6, 1, "FROM    x", "        ^"),
        ("tab after two columns", "ab\tx", 4, 1, "ab  x", "    ^"),
        ("marked tab", "\tx", 1, 1, "    x", "^^^^"),
        ("wide characters before", "世界x", 7, 1, "世界x", "    ^"),
        ("wide characters marked", "a世界b", 2, 6, "a世界b", " ^^^^"),
        ("accents", "éx", 3, 1, "éx", " ^"),
        ("combining accent", "e\u{301}x", 4, 1, "e\u{301}x", " ^"),
        ("picture of several", "👩‍👩‍👧x", 19, 1, "👩‍👩‍👧x", "  ^"),
        ("escape sequence", "a\u{1B}[31mb", 7, 1, "a\\u{1B}[31mb", "           ^"),
        ("override of direction", "a\u{202E}b", 5, 1, "a\\u{202E}b", "         ^"),
        ("NBSP", "a\u{A0}b", 2, 2, "a\\u{A0}b", " ^^^^^^"),
        ("zero width space", "a\u{200B}b", 2, 3, "a\\u{200B}b", " ^^^^^^^^"),
        ("C1 control", "a\u{9B}b", 4, 1, "a\\u{9B}b", "       ^"),
        ("behind the end", "FROM", 5, 0, "FROM", "    ^"),
        ("far behind the end", "FROM", 50, 9, "FROM", "    ^"),
        ("no length", "FROM x", 6, 0, "FROM x", "     ^"),
        ("inside a character", "世x", 2, 1, "世x", "^^"),
    ])
    func keepsTheCaretInPlace(
        _ row: String, _ line: String, _ column: Int, _ length: Int, _ shown: String, _ carets: String
    ) {
        let expected = "Modelfile:1:\(column): error: m\n  1 | \(shown)\n    | \(carets)"
        #expect(Self.shown(line, column: column, length: length) == expected, "\(row)")
    }

    @Test func shortensLongLines() {
        let line = String(repeating: "a", count: 5000) + "HERE" + String(repeating: "b", count: 1_000_000)
        let shown = Self.shown(line, column: 5001, length: 4).split(separator: "\n")
        #expect(
            shown[1] == "  1 | …" + String(repeating: "a", count: 33) + "HERE" + String(repeating: "b", count: 63) + "…"
        )
        #expect(shown[2] == "    | " + String(repeating: " ", count: 34) + "^^^^")
        let whole = Self.shown(line, column: 1, length: 1_005_004).split(separator: "\n")
        #expect(whole[1] == "  1 | " + String(repeating: "a", count: 100) + "…")
        #expect(whole[2] == "    | " + String(repeating: "^", count: 100))
    }

    @Test func masksSecrets() {
        let shown = Self.shown("ENCRYPT a:b *.bin", column: 9, length: 3, id: Diagnostic.secretID)
        #expect(shown == "Modelfile:1:9: error: m\n  1 | ENCRYPT *** *.bin\n    |         ^^^")
    }

    @Test func leavesOutALineItDoesNotHave() {
        let source = SourceText(bytes: Array("FROM x".utf8), file: "a")
        let renderer = DiagnosticRenderer(source: source)
        let other = SourceSpan(file: "b", line: 1, column: 1, length: 4)
        #expect(renderer.render(KapsuleError(.usage, id: "x", "m", at: other)) == "b:1:1: error: m")
        let past = SourceSpan(file: "a", line: 9, column: 1, length: 4)
        #expect(renderer.render(KapsuleError(.usage, id: "x", "m", at: past)) == "a:9:1: error: m")
        #expect(renderer.render(KapsuleError(.usage, id: "x", "m", remedy: "r")) == "error: m\nhelp: r")
        #expect(
            DiagnosticRenderer(source: nil).render(KapsuleError(.usage, id: "x", "m\u{1B}\n", at: past))
                == "a:9:1: error: m\\u{1B}\\n")
    }

    @Test func gutterGrowsWithTheNumber() {
        let source = SourceText(bytes: Array((String(repeating: "\n", count: 119) + "FROM x").utf8), file: "m")
        let error = KapsuleError(.usage, id: "x", "m", at: SourceSpan(file: "m", line: 120, column: 6, length: 1))
        #expect(DiagnosticRenderer(source: source).render(error) == "m:120:6: error: m\n  120 | FROM x\n      |      ^")
    }

    @Test(arguments: [
        ("words in capitals, one blank", "from  x\nparameter   top_k\t 7", "FROM x\nPARAMETER top_k 7\n"),
        ("quotes stay", "FROM \"x\"\nSYSTEM \"\"\"a\"\"\"", "FROM \"x\"\nSYSTEM \"\"\"a\"\"\"\n"),
        ("order stays", "SYSTEM y\nFROM x", "SYSTEM y\nFROM x\n"),
        ("empty value", "FROM x\nSYSTEM \n", "FROM x\nSYSTEM \"\"\n"),
        ("blank lines shrink to one", "\n\n# a\n\n\nFROM x\n \n\t\n\nSYSTEM y\n\n\n", "# a\n\nFROM x\n\nSYSTEM y\n"),
        ("comments stay", "  # a  \n#b\nFROM x\n\n# c\nSYSTEM y\n# d", "# a\n#b\nFROM x\n\n# c\nSYSTEM y\n# d\n"),
        (
            "lines end in LF, values stay", "FROM x\r\nSYSTEM \"a\r\nb\"\r\n\r\n# c\r\n",
            "FROM x\nSYSTEM \"a\r\nb\"\n\n# c\n"
        ),
        (
            "patterns stay a list", "FROM x\nEXCLUDE a  \"b\"\nEXCLUDE \"a b\"",
            "FROM x\nEXCLUDE a  \"b\"\nEXCLUDE \"a b\"\n"
        ),
        ("text behind quotes stays", "FROM x\nSYSTEM \"a\" \"b\"", "FROM x\nSYSTEM \"a\" \"b\"\n"),
    ])
    func printsCanonically(_ row: String, _ text: String, _ canonical: String) {
        #expect(Parser.parse(text).modelfile.canonicalText() == canonical, "\(row)")
        #expect(Parser.parse(canonical).modelfile.canonicalText() == canonical, "\(row)")
    }

    @Test func leavesOutOursForOllama() {
        let text = "# model\n\n# no pickles\nEXCLUDE *.bin\n# base\nFROM x\nENCRYPT a.pem\n\nSYSTEM y\n"
        #expect(
            Parser.parse(text).modelfile.canonicalText(ollamaCompatible: true)
                == "# model\n\n# base\nFROM x\n\nSYSTEM y\n")
    }

    @Test func printsJSON() {
        let text = "FROM x\n  parameter temperature 0.7\nMESSAGE user \"a\nb\"\nexclude a  b\n"
        #expect(
            Parser.parse(text).modelfile.instructionsJSON.compact == """
                [{"instruction":"FROM","name":"model","value":"x","line":1,"column":1},\
                {"instruction":"PARAMETER","name":"temperature","value":"0.7","line":2,"column":3},\
                {"instruction":"MESSAGE","name":"message","value":"user: a\\nb","line":3,"column":1},\
                {"instruction":"EXCLUDE","name":"exclude","value":"a  b","line":5,"column":1}]
                """)
    }
}
