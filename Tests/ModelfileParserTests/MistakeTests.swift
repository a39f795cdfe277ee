import KapsuleCore
import ModelfileParser
import Testing

/// What is refused, by which id and where. The whole messages are in `test_fixtures/modelfiles/bad`.
@Suite struct MistakeTests {
    @Test(
        arguments: [
            ("empty file", "", ["1:1 missing-from"]),
            ("only comments", "# x\n", ["1:1 missing-from"]),
            ("no FROM", "SYSTEM x\n", ["1:1 missing-from"]),
            ("parameter called model is no FROM", "PARAMETER model x", ["1:1 missing-from", "1:11 unknown-parameter"]),
            ("parameter called system", "FROM x\nPARAMETER system y", ["2:11 unknown-parameter"]),
            ("end inside a word", "FROM x\nSYS", ["2:1 unknown-instruction"]),
            ("end after a word", "FROM", ["1:1 missing-value"]),
            ("newline after a word", "FROM\nSYSTEM x", ["1:1 missing-value"]),
            ("colon after a word", "FROM: x", ["1:5 missing-blank"]),
            ("equals after a word", "FROM x\nSYSTEM=y", ["2:7 missing-blank"]),
            ("quote after a word", "FROM x\nTEMPLATE\"\"\"a\nFOO b\"\"\"\nSYSTEM y", ["2:9 missing-blank"]),
            ("digit after a word", "FROM x\nSYSTEM2 y", ["2:1 unknown-instruction"]),
            ("unknown word", "FROM x\nENV A=b", ["2:1 unknown-instruction"]),
            ("misspelt FROM is reported once", "FORM x", ["1:1 unknown-instruction"]),
            (
                "value of an unknown word is skipped", "FROM x\nSYSTM \"\"\"\na\nb\n\"\"\"\n",
                ["2:1 unknown-instruction"]
            ),
            ("prose is reported once", "FROM x\nSYSTEM a\nzzzzz b\nqqqqq c\n", ["3:1 unknown-instruction"]),
            (
                "two unknown words apart", "FROM x\nzzzzz b\n\nqqqqq c\n",
                ["2:1 unknown-instruction", "4:1 unknown-instruction"]
            ),
            ("punctuation", "FROM x\n- y", ["2:1 unknown-instruction"]),
            ("word after punctuation", "FROM x\n-SYSTEM y", ["2:1 unknown-instruction"]),
            ("two invisible characters", "FROM x\n\u{A0}\u{A0}SYSTEM y", ["2:1 stray-character"]),
            ("stray U+001A", "FROM x\n\u{1A}", ["2:1 stray-character"]),
            ("stray byte order mark", "FROM x\n\u{FEFF}", ["2:1 stray-character"]),
            ("PARAMETER alone", "FROM x\nPARAMETER \n", ["2:11 missing-value"]),
            ("PARAMETER without value", "FROM x\nPARAMETER top_k\n", ["2:11 missing-value"]),
            ("PARAMETER without value at the end", "FROM x\nPARAMETER top_k", ["2:11 missing-value"]),
            ("PARAMETER with equals", "FROM x\nPARAMETER temperature=1\nSYSTEM y", ["2:22 missing-blank"]),
            ("PARAMETER with a hyphen", "FROM x\nPARAMETER top-k 1", ["2:11 bad-parameter-name"]),
            ("PARAMETER quoted", "FROM x\nPARAMETER \"top_k\" 1", ["2:11 bad-parameter-name"]),
            ("MESSAGE alone", "FROM x\nMESSAGE ", ["2:9 missing-value"]),
            ("MESSAGE without text", "FROM x\nMESSAGE user\n", ["2:9 missing-value"]),
            ("MESSAGE with a colon", "FROM x\nMESSAGE user: y", ["2:9 bad-role"]),
            ("MESSAGE with a quoted role", "FROM x\nMESSAGE \"user\" y", ["2:9 bad-role"]),
            ("MESSAGE of nobody", "FROM x\nMESSAGE tool y", ["2:9 bad-role"]),
            ("roles are lower case", "FROM x\nMESSAGE User y", ["2:9 bad-role"]),
            ("unclosed double quote", "FROM x\nSYSTEM \"a\nb\n", ["2:8 unclosed-quote"]),
            ("unclosed triple quote", "FROM x\nSYSTEM \"\"\"a\"\"", ["2:8 unclosed-quote"]),
            ("three quotes", "FROM x\nSYSTEM \"\"\"", ["2:8 unclosed-quote"]),
            ("four quotes", "FROM x\nSYSTEM \"\"\"\"", ["2:8 unclosed-quote"]),
            ("five quotes", "FROM x\nSYSTEM \"\"\"\"\"", ["2:8 unclosed-quote"]),
            ("one quote", "FROM x\nSYSTEM \"", ["2:8 unclosed-quote"]),
            ("unclosed quote hides a missing FROM", "SYSTEM \"a", ["1:8 unclosed-quote"]),
            ("text after the closing quotes", "FROM x\nSYSTEM \"\"\"a\n\"\"\" b\n", ["2:8 unclosed-quote"]),
            ("empty FROM", "FROM \n", ["1:1 empty-value"]),
            ("empty quoted FROM", "FROM \"\"\n", ["1:1 empty-value"]),
            ("empty EXCLUDE", "FROM x\nEXCLUDE \n", ["2:1 empty-value"]),
            ("empty ENCRYPT", "FROM x\nENCRYPT \n", ["2:1 bad-recipient"]),
            ("pattern of nothing", "FROM x\nEXCLUDE a ! /", ["2:11 bad-pattern", "2:13 bad-pattern"]),
            ("ENCRYPT of an unknown kind", "FROM x\nENCRYPT jew:a.pem", ["2:9 bad-recipient"]),
            ("DRAFT of the source", "FROM ./x.gguf\nDRAFT x.gguf", ["2:7 draft-is-source"]),
            ("malformed reference", "FROM hf://x", ["1:6 bad-reference"]),
            ("password in an address", "FROM git+https://u:p@h/r", ["1:6 secret-in-file"]),
            ("no parameter of the model", "FROM x\nPARAMETER temprature 1", ["2:11 unknown-parameter"]),
            ("removed parameter", "FROM x\nPARAMETER num_gqa 1", ["2:11 removed-parameter"]),
            ("parameter names are lower case", "FROM x\nPARAMETER Top_K 1", ["2:11 unknown-parameter"]),
            ("comment after a number", "FROM x\nPARAMETER num_ctx 4096 # tokens", ["2:19 bad-parameter-value"]),
            (
                "all of them at once",
                "FORM x\nPARAMETER temprature 1\nMESSAGE tool y\nPARAMETER top_k a\nREQUIRES x\n",
                [
                    "1:1 unknown-instruction", "2:11 unknown-parameter", "3:9 bad-role", "4:17 bad-parameter-value",
                    "5:10 bad-version",
                ]
            ),
        ] as [(String, String, [String])])
    func refuses(_ row: String, _ text: String, _ expected: [String]) {
        let errors = Parser.parse(text).errors
        let found = errors.map { "\($0.span.line):\($0.span.column) \($0.id.dropFirst("modelfile.".count))" }
        #expect(found == expected, "\(row)")
    }

    @Test(
        arguments: [
            ("control character", "FROM x\u{0}y", ["1:7 control-character"]),
            ("NBSP in a name", "FROM x\u{A0}y", ["1:7 invisible-character"]),
            ("NBSP that is trimmed", "FROM x\u{A0}", ["1:7 invisible-character"]),
            ("zero width space in prose", "FROM x\nSYSTEM a\u{200B}b\u{200B}", ["2:9 invisible-character"]),
            ("joiner in prose is text", "FROM x\nSYSTEM 👩‍👩‍👧", []),
            ("joiner in a name", "FROM x\u{200D}y", ["1:7 invisible-character"]),
            ("NBSP in a licence is text", "FROM x\nLICENSE a\u{A0}b", []),
            ("NBSP before an instruction", "FROM x\n\u{A0}SYSTEM y", ["2:1 invisible-character"]),
            ("text after quotes", "FROM x\nSYSTEM \"a\" b\nc\"", ["2:10 text-after-quotes"]),
            ("text after triple quotes", "FROM x\nSYSTEM \"\"\"a\n\"\"\" b\nc\"\"\"", ["3:1 text-after-quotes"]),
            ("quotes within one line", "FROM x\nSYSTEM \"a\" \"b\"", []),
        ] as [(String, String, [String])])
    func warns(_ row: String, _ text: String, _ expected: [String]) {
        let result = Parser.parse(text)
        #expect(result.errors == [], "\(row)")
        let found = result.warnings.map { "\($0.span.line):\($0.span.column) \($0.id.dropFirst("modelfile.".count))" }
        #expect(found == expected, "\(row)")
    }

    @Test func namesUTF16WithoutAMark() {
        let bytes = Array("FROM x\n".utf8).flatMap { [$0, 0] as [UInt8] }
        #expect(Parser.parse(bytes: bytes, file: "m").errors.map(\.id) == ["modelfile.unmarked-utf16"])
    }

    @Test func stopsAfterAHundredMistakes() {
        let errors = Parser.parse(String(repeating: "FORM x\n", count: 1000)).errors
        #expect(errors.count == 102)
        #expect(errors.last?.id == "modelfile.too-many-mistakes")
        let prose = Parser.parse("FROM x\n" + String(repeating: "zzz x\n", count: 1000)).errors.map(\.id)
        #expect(prose == ["modelfile.unknown-instruction", "modelfile.too-many-mistakes"])
    }

    @Test func warningsAreNoMistakes() {
        let result = Parser.parse("FROM x\n" + String(repeating: "\u{A0}LICENSE x\n", count: 1000))
        #expect(result.errors == [])
        #expect(result.warnings.count == 1000)
        #expect(result.modelfile.instructions.count == 1001)
    }

    /// What takes the time of its square would take minutes.
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            ("blank lines in an open quote", "FROM x\nSYSTEM \"a", " \t\n"),
            ("quotes in an open quote", "FROM x\nSYSTEM \"\"\"a", "\"\" x\n"),
            ("one long value", "FROM x\nSYSTEM ", "a b "),
            ("patterns", "FROM x\nEXCLUDE ", "a "),
            ("patterns of nothing", "FROM x\nEXCLUDE ", "! "),
            ("prose", "FROM x\n", "zzz x\n"),
            ("invisible characters", "FROM x\nSYSTEM ", "\u{A0}"),
            ("a long word", "", "a"),
        ])
    func takesLinearTime(_ row: String, _ start: String, _ part: String) {
        let result = Parser.parse(start + String(repeating: part, count: 50_000))
        let shown = DiagnosticRenderer(source: result.source).render(Array(result.diagnostics.prefix(1000)))
        #expect(shown.isEmpty == result.diagnostics.isEmpty, "\(row)")
    }

    @Test func checkedThrowsTheFirstError() throws {
        #expect(try Parser.parse("FROM x").checked().instructions.count == 1)
        let error = #expect(throws: KapsuleError.self) { try Parser.parse("FROM x\nFOO y\nBAR z").checked() }
        #expect(error?.code == .usage)
        #expect(error?.span?.line == 2)
    }

    /// No message, help or excerpt may repeat what was refused for being secret.
    @Test(arguments: [
        ("password behind a key", "FROM x\nENCRYPT key.pem:hunter2 *.bin"),
        ("password option", "FROM x\nENCRYPT jwe:key:pass=hunter2"),
        ("password behind a certificate", "FROM x\nENCRYPT pkcs7:a.crt:hunter2"),
        ("key in quotes", "FROM x\nENCRYPT \"-----BEGIN PRIVATE KEY-----hunter2-----END PRIVATE KEY-----\""),
        (
            "key without quotes",
            "FROM x\nENCRYPT -----BEGIN PRIVATE KEY-----\nhunter2 a\nhunter2:\n-----END PRIVATE KEY-----\n"
        ),
        ("JWK", "FROM x\nENCRYPT {\"kty\":\"oct\",\"k\":\"hunter2\"}"),
        ("Vault token", "FROM x\nENCRYPT vault:hvs.hunter2"),
        ("master key", "FROM x\nENCRYPT emwp:hunter2hunter2hunter2hunter2hunter2hunter2h="),
        ("address", "FROM git+https://user:hunter2@github.com/a/b"),
    ])
    func showsNoSecret(_ row: String, _ text: String) {
        let result = Parser.parse(text)
        #expect(result.errors.map(\.id) == [Diagnostic.secretID], "\(row)")
        let renderer = DiagnosticRenderer(source: result.source)
        let shown = renderer.render(result.diagnostics) + result.errors.map { renderer.render($0.error) }.joined()
        #expect(!shown.contains("hunter2"), "\(row): \(shown)")
    }
}
