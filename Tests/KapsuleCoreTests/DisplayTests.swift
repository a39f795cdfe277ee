import KapsuleCore
import Testing

@Suite struct DisplayTests {
    @Test(
        arguments: [
            ("", 0), ("model", 5), ("é", 1), ("e\u{301}", 1), ("模型", 4), ("ガ", 2), ("한국", 4), ("👩‍🚀", 2), ("🇫🇷", 2),
            ("❤️", 2), ("→ oci", 5), ("…", 1), ("𠀀", 2), ("（", 2), ("あ\u{200D}", 2),
        ] as [(String, Int)])
    func widthIsWhatATerminalShows(_ text: String, _ width: Int) { #expect(DisplayWidth.of(text) == width) }

    @Test(
        arguments: [
            ("model.gguf", 10, "model.gguf"), ("model.gguf", 9, "model.…uf"), ("模型模型", 7, "模型…型"),
            ("模型", 1, "…"), ("a", 0, ""), ("abc", 2, "a…"),
        ] as [(String, Int, String)])
    func elidesTheMiddle(_ text: String, _ columns: Int, _ shown: String) {
        #expect(DisplayWidth.elided(text, to: columns) == shown)
        #expect(DisplayWidth.of(shown) <= columns)
    }

    @Test(
        arguments: [
            ("plain", "plain"), ("a\nb\r\tc", #"a\nb\r\tc"#), ("\u{1b}[31m", #"\u{1b}[31m"#), (#"a\b"#, #"a\\b"#),
            ("\u{9b}31m\u{7f}", #"\u{9b}31m\u{7f}"#), ("\u{202e}a\u{2066}", #"\u{202e}a\u{2066}"#), ("👩‍🚀é模", "👩‍🚀é模"),
            ("\u{2028}", #"\u{2028}"#), ("\r\n", #"\r\n"#),
        ] as [(String, String)])
    func showsControlsAsText(_ text: String, _ shown: String) { #expect(Printable.text(text) == shown) }

    // Those of Ollama, as observed; halves go to the even neighbour, as printf rounds.
    @Test(
        arguments: [
            (0, "0"), (999, "999"), (1000, "1K"), (1500, "2K"), (2500, "2K"), (999_500, "1000K"), (1_000_000, "1M"),
            (134_515_008, "134.52M"), (1_005_000, "1.00M"), (1_125_000, "1.12M"), (999_995_000, "1000.00M"),
            (999_999_999, "1000.00M"), (1_000_000_000, "1B"), (1_050_000_000, "1.1B"), (1_250_000_000, "1.2B"),
            (1_235_814_432, "1.2B"), (7_241_732_096, "7.2B"), (8_030_261_248, "8.0B"), (1_045_000_000_000, "1045B"),
            (Int64.max, "9223372036.9B"),
        ] as [(Int64, String)])
    func countsParametersAsOllamaDoes(_ count: Int64, _ text: String) { #expect(ParameterCount.text(count) == text) }

    @Test func linesKeepNewlinesAlone() {
        #expect(Printable.lines("a\\b\n\u{1b}c\n") == "a\\b\n\\u{1b}c\n")
    }

    @Test func jsonEscapesWhatTerminalsObey() {
        #expect(Printable.json(.string("\u{9b}\u{7f}\u{202e}\u{E0041}é")) == #""\u009b\u007f\u202e\udb40\udc41é""#)
    }

    @Test func tableAlignsByWhatIsSeen() {
        var table = TextTable(.left("NAME"), .right("SIZE"), .left("NOTE"), .left("TAG", maximum: 4))
        #expect(table.rendered().isEmpty)
        table.add("模型", "9 B", "", "v1")
        table.add("a\nb", "1024.0 KiB", "", "version")
        #expect(table.rendered() == "NAME        SIZE  TAG\n模型         9 B  v1\na\\nb  1024.0 KiB  ve…n\n")
    }
}
