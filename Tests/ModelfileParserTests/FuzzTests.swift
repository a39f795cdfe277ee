import KapsuleCore
import ModelfileParser
import TestSupport
import Testing

/// Whatever the bytes: no trap, spans inside the text, and canonical text that means the same.
@Suite struct FuzzTests {
    @Test func holdsForRandomBytes() throws {
        try run(300) { random in
            let count = Int.random(in: 0...60, using: &random)
            return random.bytes(count)
        }
    }

    @Test func holdsForThingsLikeModelfiles() throws {
        try run(600) { Array(Randomness.modelfile(&$0).utf8) }
    }

    @Test func holdsForMutatedModelfiles() throws {
        try run(400) { random in
            var bytes = Array(Randomness.modelfile(&random).utf8)
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            return bytes
        }
    }

    @Test func holdsForUTF16() throws {
        try run(300) { random in
            let units = Randomness.modelfile(&random).utf16.map { $0 }
            let isLittle = Bool.random(using: &random)
            var bytes: [UInt8] = isLittle ? [0xFF, 0xFE] : [0xFE, 0xFF]
            for var unit in units {
                if Int.random(in: 0...40, using: &random) == 0 {
                    unit = UInt16.random(in: .min ... .max, using: &random)
                }
                let (low, high) = (UInt8(unit & 0xFF), UInt8(unit >> 8))
                bytes += isLittle ? [low, high] : [high, low]
            }
            if Bool.random(using: &random) { _ = bytes.popLast() }
            return bytes
        }
    }

    private func run(_ iterations: Int, _ make: (inout SeededGenerator) -> [UInt8]) throws {
        let seed = Randomness.seed
        var random = SeededGenerator(seed: seed)
        for round in 0..<Randomness.iterations(iterations) {
            let bytes = make(&random)
            let context = "KAPSULE_TEST_SEED=\(seed), round \(round): \(bytes)"
            let result = Parser.parse(bytes: bytes, file: "Modelfile")
            try expectSpansInBounds(result, context)
            _ = DiagnosticRenderer(source: result.source).render(result.diagnostics)
            _ = Lint.check(result.modelfile)
            _ = result.modelfile.card
            try expectSameMeaning(result, context)
            try expectWhatOllamaReads(result, context)
        }
    }

    private func expectSpansInBounds(_ result: ParseResult, _ context: String) throws {
        let instructions = result.modelfile.instructions
        let spans =
            result.diagnostics.map(\.span) + instructions.flatMap { [$0.span, $0.wordSpan, $0.valueSpan] }
            + instructions.compactMap(\.nameSpan)
        for span in spans {
            let line = try #require(result.source.line(span.line), "\(context)")
            try #require(span.column >= 1 && span.length >= 0, "\(context)")
            // One past the end: a place behind the last byte.
            try #require(span.column - 1 + span.length <= line.count + 1, "\(span) \(context)")
        }
        for instruction in instructions { try #require(instruction.lastLine >= instruction.span.line, "\(context)") }
    }

    private func expectSameMeaning(_ result: ParseResult, _ context: String) throws {
        let text = result.modelfile.canonicalText()
        let again = Parser.parse(text)
        try #require(Meaning(again.modelfile) == Meaning(result.modelfile), "\(context)\n\(text)")
        try #require(again.modelfile.canonicalText() == text, "\(context)\n\(text)")
    }

    private func expectWhatOllamaReads(_ result: ParseResult, _ context: String) throws {
        let oracle = ReferenceParser.parse(Array(String(decoding: result.source.utf8, as: UTF8.self).unicodeScalars))
        let syntax = [
            "unknown-instruction", "missing-value", "missing-blank", "bad-parameter-name", "bad-role", "unclosed-quote",
            "stray-character", "unmarked-utf16",
        ].map { "modelfile." + $0 }
        let firstError = result.errors.first { syntax.contains($0.id) }
        try #require((firstError != nil) == oracle.failed, "\(context)")
        let read = result.modelfile.instructions.filter { instruction in
            guard let span = firstError?.span else { return true }
            return (instruction.span.line, instruction.span.column) < (span.line, span.column)
        }
        guard firstError?.id != "modelfile.unmarked-utf16" else { return }
        try #require(read.map { "\($0.ollamaName)=\($0.ollamaValue)" } == oracle.commands, "\(context)")
    }
}

/// A Modelfile without places: what two texts of the same meaning share.
private struct Meaning: Equatable {
    let instructions: [[String]]

    init(_ modelfile: Modelfile) {
        instructions = modelfile.instructions.map { instruction in
            var words = [instruction.word.rawValue, instruction.ollamaName, instruction.ollamaValue]
            switch instruction.content {
            case .exclude(let patterns, _): words += patterns.map(\.text)
            case .encrypt(let recipient, let patterns, _): words += [recipient.text] + patterns.map(\.text)
            default: break
            }
            return words + instruction.leading.compactMap { if case .comment(let text) = $0 { text } else { nil } }
        }
    }
}
