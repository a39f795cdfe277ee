import KapsuleCore
import ModelfileParser
import Testing

/// The grammar: what is read, and as what.
@Suite struct ParserTests {
    /// Name of the row, text, values of all instructions.
    static let values: [(String, String, [String])] = [
        ("bare value is trimmed", "FROM  \t x \t\n", ["x"]),
        ("bare value ends with the line", "FROM a b  c", ["a b  c"]),
        ("tab separates", "FROM\tx", ["x"]),
        ("comment within a line is value", "FROM x # y", ["x # y"]),
        ("comment line", "# FROM y\n  # z\nFROM x", ["x"]),
        ("comment without newline at the end", "FROM x\n# y", ["x"]),
        ("words ignore case", "fRoM x\nparameter top_k 1\nMessage user y", ["x", "1", "y"]),
        ("FROM may come last", "SYSTEM y\nFROM x", ["y", "x"]),
        ("indented instruction", " \t FROM x", ["x"]),
        ("CRLF", "FROM x\r\nSYSTEM y\r\n", ["x", "y"]),
        ("CR alone", "FROM x\rSYSTEM y\r", ["x", "y"]),
        ("double quotes", "FROM \"x y\"", ["x y"]),
        ("double quotes over lines", "FROM x\nSYSTEM \"a\nb\"\n", ["x", "a\nb"]),
        ("a quote inside a line does not close", "FROM x\nSYSTEM \"a \"b\" c\nd\"", ["x", "a \"b\" c\nd"]),
        ("triple quotes keep first and last newline", "FROM x\nSYSTEM \"\"\"\n  a\n\"\"\"", ["x", "\n  a\n"]),
        ("escapes are literal", "FROM x\nSYSTEM \"a\\n\\\"\"", ["x", "a\\n\\\""]),
        ("CRLF inside a value is kept", "FROM x\r\nSYSTEM \"\"\"a\r\nb\"\"\"\r\n", ["x", "a\r\nb"]),
        ("CR inside a value is kept", "FROM x\nSYSTEM \"a\rb\"", ["x", "a\rb"]),
        ("blanks after the quotes", "FROM \"x\" \t \n", ["x"]),
        ("four quotes at the end", "FROM x\nSYSTEM \"\"\"a\"\"\"\"", ["x", "a\""]),
        ("triple quotes inside a line", "FROM x\nSYSTEM \"\"\"a\"\"\"b\"\"\"", ["x", "a\"\"\"b"]),
        ("two quoted words", "FROM x\nSYSTEM \"a\" \"b\"", ["x", "a\" \"b"]),
        ("doubled quotes", "FROM x\nSYSTEM \"\"abc\"\"", ["x", "\"abc\""]),
        ("empty quotes", "FROM x\nSYSTEM \"\"\nTEMPLATE \"\"\"\"\"\"", ["x", "", ""]),
        ("quote at the end only", "FROM x\nSYSTEM abc\"", ["x", "abc\""]),
        ("single quotes are literal", "FROM x\nSYSTEM 'abc'", ["x", "'abc'"]),
        ("blank and no value", "FROM x\nSYSTEM \nTEMPLATE y", ["x", "", "y"]),
        ("blank and the end", "FROM x\nSYSTEM ", ["x", ""]),
        ("three quotes and three more later", "FROM x\nSYSTEM \"\"\"\n\"\"\"", ["x", "\n"]),
        ("two quotes and text are double quotes", "FROM x\nSYSTEM \"\"a\nb\"", ["x", "\"a\nb"]),
        ("a blank line inside quotes", "FROM x\nSYSTEM \"a\n\n \t\nb\"", ["x", "a\n\n \t\nb"]),
        ("a lone quote opens", "FROM x\nSYSTEM \"\nb\"", ["x", "\nb"]),
        ("four quotes do not close", "FROM x\nSYSTEM \"\"\"\"\nb\"\"\"", ["x", "\"\nb"]),
        ("several blanks after PARAMETER", "FROM x\nPARAMETER  \t top_k \t 7", ["x", "7"]),
        ("several blanks after MESSAGE", "FROM x\nMESSAGE  user  y", ["x", "y"]),
        ("NUL is dropped", "FROM x\u{0}y", ["xy"]),
        ("ESC, VT and FF are dropped and end no line", "FROM a\u{1B}b\u{B}c\u{C}d", ["abcd"]),
        ("NUL between quotes that close", "FROM \"x\"\u{0}", ["x"]),
        ("NUL within the opening quotes", "FROM x\nSYSTEM \"\u{0}\"\"a\"\"\u{0}\"", ["x", "a"]),
        ("NEL and line separators end no line", "FROM x\nSYSTEM a\u{85}b\u{2028}c", ["x", "a\u{85}b\u{2028}c"]),
        ("joined emoji stay whole", "FROM x\nSYSTEM 👩‍👩‍👧", ["x", "👩‍👩‍👧"]),
        ("NBSP inside stays", "FROM x\nSYSTEM a\u{A0}b", ["x", "a\u{A0}b"]),
        ("NBSP at the ends is trimmed", "FROM \u{A0}x\u{A0}", ["x"]),
        ("zero width space after the quotes", "FROM \"x\"\u{200B}", ["x"]),
        ("byte order mark at the end of a value", "FROM x\u{FEFF}", ["x"]),
        ("NBSP before an instruction", "\u{A0}FROM x", ["x"]),
        ("byte order mark before an instruction", "FROM x\n\u{FEFF}SYSTEM y", ["x", "y"]),
        ("NUL before an instruction", "FROM x\n\u{0}SYSTEM y", ["x", "y"]),
        ("blank before NBSP", "  \u{A0}FROM x", ["x"]),
        ("non-ASCII value", "FROM x\nSYSTEM Grüße, 世界", ["x", "Grüße, 世界"]),
    ]

    @Test(arguments: values)
    func reads(_ row: String, _ text: String, _ values: [String]) {
        let result = Parser.parse(text)
        #expect(result.errors.map(\.message) == [], "\(row)")
        #expect(
            result.modelfile.instructions.map(\.value).map { Array($0.utf8) } == values.map { Array($0.utf8) }, "\(row)"
        )
    }

    @Test(
        arguments: [
            ("UTF-8", [0x46, 0x52, 0x4F, 0x4D, 0x20, 0xC3, 0xA9], "é", .utf8),
            ("UTF-8 with a mark", [0xEF, 0xBB, 0xBF, 0x46, 0x52, 0x4F, 0x4D, 0x20, 0x78], "x", .utf8),
            (
                "UTF-16 LE",
                [0xFF, 0xFE, 0x46, 0, 0x52, 0, 0x4F, 0, 0x4D, 0, 0x20, 0, 0xE9, 0, 0x3D, 0xD8, 0x00, 0xDE],
                "é😀", .utf16LittleEndian
            ),
            ("UTF-16 BE", [0xFE, 0xFF, 0, 0x46, 0, 0x52, 0, 0x4F, 0, 0x4D, 0, 0x20, 0, 0xE9], "é", .utf16BigEndian),
            ("malformed UTF-8", [0x46, 0x52, 0x4F, 0x4D, 0x20, 0x78, 0xFF, 0x79], "x\u{FFFD}y", .utf8),
            ("truncated UTF-8", [0x46, 0x52, 0x4F, 0x4D, 0x20, 0x78, 0xE4, 0xB8], "x\u{FFFD}", .utf8),
            (
                "lone surrogate", [0xFE, 0xFF, 0, 0x46, 0, 0x52, 0, 0x4F, 0, 0x4D, 0, 0x20, 0xD8, 0x3D, 0, 0x78],
                "\u{FFFD}x", .utf16BigEndian
            ),
            (
                "two lead surrogates",
                [0xFE, 0xFF, 0, 0x46, 0, 0x52, 0, 0x4F, 0, 0x4D, 0, 0x20, 0xD8, 0x3D, 0xD8, 0x3D, 0xDE, 0],
                "\u{FFFD}😀", .utf16BigEndian
            ),
            (
                "odd byte at the end", [0xFE, 0xFF, 0, 0x46, 0, 0x52, 0, 0x4F, 0, 0x4D, 0, 0x20, 0, 0x78, 0],
                "x\u{FFFD}", .utf16BigEndian
            ),
        ] as [(String, [UInt8], String, SourceText.Encoding)])
    func decodes(_ row: String, _ bytes: [UInt8], _ value: String, _ encoding: SourceText.Encoding) {
        let result = Parser.parse(bytes: bytes, file: "Modelfile")
        #expect(result.modelfile.instructions.map(\.value) == [value], "\(row)")
        #expect(result.source.encoding == encoding, "\(row)")
        let isReplaced = value.unicodeScalars.contains("\u{FFFD}")
        #expect(result.diagnostics.map(\.id) == (isReplaced ? ["modelfile.malformed-text"] : []), "\(row)")
    }

    @Test func givesEveryPartItsSpan() throws {
        let text =
            "# c\r\n\r\nFROM é\r\n\t parameter  top_k  \"7\" \r\nMESSAGE user \"\"\"a\r\nb\"\"\"\rEXCLUDE *.bin  ü/**\n"
        let instructions = Parser.parse(text).modelfile.instructions
        try #require(instructions.count == 4)
        func span(_ line: Int, _ column: Int, _ length: Int) -> SourceSpan {
            SourceSpan(file: "Modelfile", line: line, column: column, length: length)
        }
        #expect(instructions.map(\.span) == [span(3, 1, 7), span(4, 3, 21), span(5, 1, 17), span(7, 1, 20)])
        #expect(instructions.map(\.wordSpan) == [span(3, 1, 4), span(4, 3, 9), span(5, 1, 7), span(7, 1, 7)])
        #expect(instructions.map(\.nameSpan) == [nil, span(4, 14, 5), span(5, 9, 4), nil])
        #expect(instructions.map(\.valueSpan) == [span(3, 6, 2), span(4, 21, 3), span(5, 14, 4), span(7, 9, 12)])
        #expect(instructions.map(\.lastLine) == [3, 4, 6, 7])
        #expect(instructions.map(\.quoting) == [.bare, .double, .triple, .bare])
        guard case .exclude(let patterns, _) = instructions[3].content else { return #expect(Bool(false)) }
        #expect(patterns.map(\.span) == [span(7, 9, 5), span(7, 16, 5)])
    }

    @Test(arguments: [
        ("list", "EXCLUDE *.bin\t original/**", ["*.bin", "original/**"], "*.bin\t original/**"),
        ("quoted is one pattern", "EXCLUDE \"a b.bin\"", ["a b.bin"], "a b.bin"),
        ("triple quoted is one pattern", "EXCLUDE \"\"\"a \"b\".bin\"\"\"", ["a \"b\".bin"], "a \"b\".bin"),
        ("negated", "EXCLUDE !x.bin", ["!x.bin"], "!x.bin"),
        ("quotes inside a list are literal", "EXCLUDE a \"b\"", ["a", "\"b\""], "a \"b\""),
    ])
    func readsExclude(_ row: String, _ text: String, _ patterns: [String], _ raw: String) throws {
        let result = Parser.parse("FROM x\n" + text)
        #expect(result.diagnostics == [], "\(row)")
        guard case .exclude(let read, raw)? = result.modelfile.instructions.last?.content else {
            return #expect(Bool(false), "\(row)")
        }
        #expect(read.map(\.text) == patterns, "\(row)")
    }

    @Test(
        arguments: [
            ("key alone", "ENCRYPT keys/a.pem", "keys/a.pem", []),
            ("key and patterns", "ENCRYPT jwe:b.pem *.safetensors  x", "jwe:b.pem", ["*.safetensors", "x"]),
            ("quoted is the key alone", "ENCRYPT \"my keys/a.pem\"", "my keys/a.pem", []),
        ] as [(String, String, String, [String])])
    func readsEncrypt(_ row: String, _ text: String, _ recipient: String, _ patterns: [String]) throws {
        let result = Parser.parse("FROM x\n" + text)
        #expect(result.diagnostics == [], "\(row)")
        guard case .encrypt(let key, let read, _)? = result.modelfile.instructions.last?.content else {
            return #expect(Bool(false), "\(row)")
        }
        #expect(key.text == recipient && read.map(\.text) == patterns, "\(row)")
    }

    @Test(arguments: InstructionWord.allCases)
    func knowsTheInstruction(_ word: InstructionWord) {
        let name: [InstructionWord: String] = [.parameter: "stop ", .message: "user "]
        let value: [InstructionWord: String] = [.requires: "v0.14"]
        let result = Parser.parse("FROM x\n\(word.rawValue.lowercased()) \(name[word] ?? "")\(value[word] ?? "y")")
        #expect(result.errors == [])
        #expect(result.modelfile.instructions.last?.word == word)
    }

    @Test(arguments: ["0.14", "v0.14.0", "1", "0.14.0-rc1", "1.2.3-a.b-c+d.01", "1.2.3+x"])
    func takesTheVersion(_ version: String) {
        #expect(Parser.parse("FROM x\nREQUIRES \(version)").diagnostics == [])
    }

    @Test(arguments: [
        "", "v", "1.2.3.4", "01.2", "1.2-rc1", "1.2.3-", "1.2.3-01", "1.2.3+", "1..2", "latest", "vv1", "1.x",
    ])
    func refusesTheVersion(_ version: String) {
        #expect(Parser.parse("FROM x\nREQUIRES \(version)").errors.map(\.id) == ["modelfile.bad-version"])
    }
}
