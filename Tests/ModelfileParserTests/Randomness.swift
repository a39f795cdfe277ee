import TestSupport

/// Random input, from a seed that a failing test names and `KAPSULE_TEST_SEED` gives again.
enum Randomness {
    static var seed: UInt64 { SeededGenerator.campaignSeed }

    /// `KAPSULE_FUZZ_ITERATIONS`, or `usual`.
    static func iterations(_ usual: Int) -> Int { SeededGenerator.campaignRounds(usual) }

    /// Pieces that matter to the grammar, rather than random letters.
    private static let pieces = [
        "a", "b c", " ", "\t", "\n", "\r", "\r\n", "\"", "\"\"", "\"\"\"", "#", "é", "世界", "\u{A0}", "\u{200B}", "👩‍👩‍👧",
        "x: y", "\\",
        "\u{85}", "\u{2028}", "=",
    ]

    static func text(_ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    }

    private static let lines = [
        "FROM ", "from", "PARAMETER ", "PARAMETER top_k ", "PARAMETER stop", "MESSAGE user ", "MESSAGE  tool ",
        "SYSTEM ", "TEMPLATE ",
        "LICENSE\t", "EXCLUDE ", "ENCRYPT ", "ENCRYPT jwe:a.pem ", "FOO ", "# ", "REQUIRES 1.", "ADAPTER ./", "DRAFT ",
        "\u{0}", "\u{1A}",
        "\u{FEFF}", "-", "PARAMETER a=", "PARAMETER  x",
    ]

    /// Something like a Modelfile.
    static func modelfile(_ random: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            text += lines.randomElement(using: &random) ?? ""
            text += Self.text(&random)
            text += ["\n", "\n", "\n\n", "\r\n", "\r", " ", ""].randomElement(using: &random) ?? ""
        }
        return text
    }
}
