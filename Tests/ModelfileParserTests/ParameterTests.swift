import KapsuleCore
import ModelfileParser
import Testing

/// The table of parameters and the spellings of their values.
@Suite struct ParameterTests {
    static let kinds: [(String, ParameterDefinition.Kind)] = [
        ("num_ctx", .integer), ("num_batch", .integer), ("num_gpu", .integer), ("main_gpu", .integer),
        ("use_mmap", .boolean), ("num_thread", .integer), ("draft_num_predict", .integer), ("num_keep", .integer),
        ("seed", .integer), ("num_predict", .integer), ("top_k", .integer), ("top_p", .float), ("min_p", .float),
        ("typical_p", .float), ("repeat_last_n", .integer), ("temperature", .float), ("repeat_penalty", .float),
        ("presence_penalty", .float), ("frequency_penalty", .float), ("stop", .texts),
    ]

    @Test func knowsAllAndNoOthers() {
        #expect(ParameterDefinition.all.map(\.name) == Self.kinds.map(\.0))
    }

    @Test(arguments: kinds)
    func hasItsType(_ name: String, _ kind: ParameterDefinition.Kind) {
        #expect(ParameterDefinition.named(name)?.kind == kind)
        let takesFraction = Parser.parse("FROM x\nPARAMETER \(name) 0.5").errors.isEmpty
        #expect(takesFraction == (kind == .float || kind == .texts))
        let takesWord = Parser.parse("FROM x\nPARAMETER \(name) true").errors.isEmpty
        #expect(takesWord == (kind == .boolean || kind == .texts))
    }

    @Test(arguments: ParameterDefinition.deprecated.sorted())
    func acceptsDeprecatedOnesAndDropsThem(_ name: String) {
        let result = Parser.parse("FROM x\nPARAMETER \(name) whatever")
        #expect(result.diagnostics == [])
        #expect(result.modelfile.card.parameters == [])
        #expect(Lint.check(result.modelfile).map(\.id) == ["modelfile.deprecated-parameter"])
    }

    @Test(arguments: ParameterDefinition.removed.sorted())
    func refusesRemovedOnes(_ name: String) {
        #expect(Parser.parse("FROM x\nPARAMETER \(name) 1").errors.map(\.id) == ["modelfile.removed-parameter"])
    }

    @Test(arguments: [
        ("top_k", "0", "0"), ("top_k", "+40", "40"), ("top_k", "-1", "-1"), ("top_k", "007", "7"),
        ("seed", "9223372036854775807", "9223372036854775807"),
        ("seed", "-9223372036854775808", "-9223372036854775808"),
        ("temperature", "1", "1"), ("temperature", ".05", "0.05"), ("temperature", "5.", "5"),
        ("temperature", "5e-1", "0.5"), ("temperature", "+5", "5"), ("temperature", "1_000", "1000"),
        ("temperature", "0x1p-2", "0.25"), ("temperature", "0X1.8P1", "3"), ("temperature", "0x_1p0", "1"),
        ("temperature", "0x.8p0", "0.5"), ("temperature", "-.5E+1", "-5"), ("temperature", "0.70", "0.7"),
        ("temperature", "0.1", "0.1"), ("temperature", "1e-50", "0"), ("temperature", "3.4028235e38", "3.4028235e+38"),
        ("temperature", "00.5", "0.5"), ("temperature", "-0", "-0"),
        ("use_mmap", "1", "true"), ("use_mmap", "t", "true"), ("use_mmap", "T", "true"), ("use_mmap", "TRUE", "true"),
        ("use_mmap", "true", "true"), ("use_mmap", "True", "true"), ("use_mmap", "0", "false"),
        ("use_mmap", "f", "false"), ("use_mmap", "F", "false"), ("use_mmap", "FALSE", "false"),
        ("use_mmap", "false", "false"), ("use_mmap", "False", "false"), ("top_k", "\"7\"", "7"),
        ("stop", "\"\"", ""), ("stop", "<|end|>", "<|end|>"),
    ])
    func takes(_ name: String, _ value: String, _ canonical: String) {
        let result = Parser.parse("FROM x\nPARAMETER \(name) \(value)")
        #expect(result.errors == [])
        #expect(result.modelfile.card.parameters.map(\.value) == [canonical])
    }

    @Test(arguments: [
        ("top_k", "4096.0"), ("top_k", "1e3"), ("top_k", "0x10"), ("top_k", "1 000"), ("top_k", "1_000"), ("top_k", ""),
        ("top_k", "--1"), ("top_k", "+"), ("top_k", "9223372036854775808"), ("top_k", "4096 # tokens"), ("top_k", "٣"),
        ("temperature", "0,7"), ("temperature", "inf"), ("temperature", "NaN"), ("temperature", "-Infinity"),
        ("temperature", ""), ("temperature", "."), ("temperature", "e5"), ("temperature", "1e"), ("temperature", "1e+"),
        ("temperature", "0x1"), ("temperature", "0x"), ("temperature", "0xp1"), ("temperature", "1__0"),
        ("temperature", "_1"), ("temperature", "1_"), ("temperature", "1._5"), ("temperature", "1e39"),
        ("temperature", "1.2.3"), ("temperature", "+-1"), ("temperature", "1f"), ("temperature", "0 5"),
        ("use_mmap", "yes"), ("use_mmap", "on"), ("use_mmap", "tRUE"), ("use_mmap", "2"), ("use_mmap", ""),
    ])
    func refuses(_ name: String, _ value: String) {
        #expect(
            Parser.parse("FROM x\nPARAMETER \(name) \(value)").errors.map(\.id) == ["modelfile.bad-parameter-value"])
    }

    @Test(arguments: [
        ("top_k", "1e+06", "write 1000000"), ("top_k", "4096.0", "write 4096"),
        ("top_k", "1 # one", "put the comment on a line of its own: '#' within a line belongs to the value"),
        ("temperature", "0,7", "write 0.7, with a decimal point"), ("temperature", "inf", "write a finite number"),
        ("use_mmap", "Yes", "write true"), ("use_mmap", "off", "write false"),
    ])
    func helps(_ name: String, _ value: String, _ help: String) {
        #expect(Parser.parse("FROM x\nPARAMETER \(name) \(value)").errors.map(\.help) == [help])
    }
}
