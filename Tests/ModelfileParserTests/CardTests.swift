import KapsuleCore
import ModelfileParser
import TestSupport
import Testing

/// What a file says of the model, and the file that says it.
@Suite struct CardTests {
    @Test func appliesTheRulesOfRepetition() {
        let card = Parser.parse(
            """
            FROM x
            PARAMETER top_k 1
            PARAMETER stop b
            PARAMETER temperature 0.70
            PARAMETER stop a
            PARAMETER top_k +2
            PARAMETER stop b
            PARAMETER mirostat 1
            TEMPLATE one
            TEMPLATE {{ .Prompt }}
            SYSTEM first
            LICENSE MIT
            LICENSE Apache
            MESSAGE user q
            MESSAGE assistant a: b
            RENDERER r1
            RENDERER r2
            PARSER p
            REQUIRES v0.14
            """
        ).modelfile.card
        var expected = ModelCard()
        expected.parameters = [
            .init(name: "stop", value: "b"), .init(name: "stop", value: "a"), .init(name: "stop", value: "b"),
            .init(name: "temperature", value: "0.7"), .init(name: "top_k", value: "2"),
        ]
        expected.template = "{{ .Prompt }}"
        expected.system = "first"
        expected.licenses = ["MIT", "Apache"]
        expected.messages = [.init(role: "user", text: "q"), .init(role: "assistant", text: "a: b")]
        expected.renderer = "r2"
        expected.parser = "p"
        expected.requires = "0.14"
        #expect(card == expected)
    }

    @Test func aLastEmptySystemUnsetsIt() {
        #expect(Parser.parse("FROM x\nSYSTEM y\nSYSTEM \"\"").modelfile.card.system == nil)
        #expect(Parser.parse("FROM x\nSYSTEM \nSYSTEM y").modelfile.card.system == "y")
    }

    @Test func synthesisesInOneOrder() throws {
        var card = ModelCard()
        card.parameters = [
            .init(name: "top_k", value: "1e+06"), .init(name: "stop", value: "z"), .init(name: "stop", value: " a"),
            .init(name: "num_ctx", value: "1048576"), .init(name: "temperature", value: "0.7"),
        ]
        card.template = "{{ .Prompt }}\n"
        card.system = "\"quoted\" words"
        card.licenses = ["MIT", ""]
        card.messages = [.init(role: "user", text: "a\nb")]
        card.renderer = "r"
        card.parser = "p"
        card.requires = "0.14.0"
        let text = try Modelfile.synthesised(card: card, from: ["./m.gguf"], adapters: ["a b"], drafts: ["d"])
        #expect(
            text == """
                FROM ./m.gguf
                ADAPTER a b
                DRAFT d
                TEMPLATE \"""{{ .Prompt }}
                \"""
                SYSTEM \"""\"quoted" words\"""
                RENDERER r
                PARSER p
                REQUIRES 0.14.0
                PARAMETER num_ctx 1048576
                PARAMETER stop z
                PARAMETER stop " a"
                PARAMETER temperature 0.7
                PARAMETER top_k 1000000
                LICENSE MIT
                LICENSE ""
                MESSAGE user \"""a
                b\"""

                """)
    }

    @Test(arguments: [
        ("control character", "a\u{1B}b"), ("line that ends in three quotes", "a\"\"\"\nb"),
        ("two quotes first, then a line that ends in three", "\"\"a\n\"\"\"\nb"), ("NUL", "\u{0}"),
    ])
    func refusesWhatNoQuotesHold(_ row: String, _ text: String) {
        var card = ModelCard()
        card.system = text
        let error = #expect(throws: KapsuleError.self) { try Modelfile.synthesised(card: card, from: ["x"]) }
        #expect(error?.id == "modelfile.unprintable-value", "\(row)")
    }

    @Test(arguments: [
        ("quote", "\""), ("two quotes", "\"\""), ("three quotes", "\"\"\""), ("line ends in a quote", "a\"\nb"),
        ("line ends in two quotes", "\"\"\nb"), ("begins with a quote", "\"a"), ("ends with quotes", "a\"\"\""),
        ("blank", " "), ("tab", "\t"), ("newline", "\n"), ("CR", "\r"), ("CRLF", "a\r\nb"), ("NBSP", "\u{A0}"),
        ("byte order mark", "\u{FEFF}a"), ("hash", "# a"), ("two quotes and lines", "\"\"\na\"b"),
        ("BOM and NEL", "\u{85}"),
    ])
    func givesBackTheValue(_ row: String, _ value: String) throws {
        var card = ModelCard()
        card.system = value
        let text = try Modelfile.synthesised(card: card, from: ["x"])
        let parsed = Parser.parse(text)
        #expect(parsed.errors == [], "\(row)")
        #expect(parsed.modelfile.card.system.map { Array($0.utf8) } == Array(value.utf8), "\(row)")
    }

    /// `parse(synthesise(card)).card == card`, or the card cannot be written.
    @Test func givesBackTheCard() throws {
        let seed = Randomness.seed
        var random = SeededGenerator(seed: seed)
        var written = 0
        for round in 0..<Randomness.iterations(300) {
            let card = Self.randomCard(&random)
            guard let text = try? Modelfile.synthesised(card: card, from: ["hf://a/b"], adapters: ["./a"]) else {
                continue
            }
            let parsed = Parser.parse(text)
            try #require(parsed.errors == [], "seed \(seed), round \(round): \(text)")
            try #require(parsed.modelfile.card == card, "seed \(seed), round \(round): \(text)")
            let again = try Modelfile.synthesised(card: parsed.modelfile.card, from: ["hf://a/b"], adapters: ["./a"])
            try #require(again == text, "seed \(seed), round \(round)")
            try #require(parsed.modelfile.canonicalText() == text, "seed \(seed), round \(round)")
            written += 1
        }
        #expect(written > 20, "seed \(seed)")
    }

    private static func randomCard(_ random: inout SeededGenerator) -> ModelCard {
        var card = ModelCard()
        func some<T>(_ make: (inout SeededGenerator) -> T) -> T? { Bool.random(using: &random) ? make(&random) : nil }
        for definition in ParameterDefinition.all.sorted(by: { $0.name < $1.name }) {
            let count = Int.random(in: 0...(definition.kind == .texts ? 3 : 1), using: &random)
            for _ in 0..<count {
                let value =
                    switch definition.kind {
                    case .integer: String(Int64.random(in: .min ... .max, using: &random))
                    case .float: definition.canonical(Float.random(in: -1e9...1e9, using: &random).description) ?? "0"
                    case .boolean: Bool.random(using: &random) ? "true" : "false"
                    case .texts: Randomness.text(&random)
                    }
                card.parameters.append(.init(name: definition.name, value: value))
            }
        }
        card.template = some { Randomness.text(&$0) + "x" }
        card.system = some { Randomness.text(&$0) + "\"" }
        card.renderer = some { _ in "r" }
        card.requires = some { "0.\(UInt8.random(in: 0...99, using: &$0))" }
        card.licenses = (0..<Int.random(in: 0...2, using: &random)).map { _ in Randomness.text(&random) }
        card.messages = (0..<Int.random(in: 0...2, using: &random)).map { _ in
            .init(role: "user", text: Randomness.text(&random))
        }
        return card
    }
}
