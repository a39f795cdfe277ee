import KapsuleCore
import Testing

@Suite struct DigestTests {
    static let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    @Test func readsAndWritesItsTextForm() throws {
        let digest = try #require(Digest(parsing: Self.text))
        #expect(digest.description == Self.text)
        #expect(digest.bytes.first == 0xe3 && digest.bytes.last == 0x55)
        #expect(Digest(bytes: digest.bytes.span) == digest)
    }

    @Test(arguments: [
        "", "sha256:", "sha512:\(text.dropFirst(7))", text + "0", String(text.dropLast()), text.uppercased(),
    ])
    func refuses(_ text: String) { #expect(Digest(parsing: text) == nil) }
}

@Suite struct BundlePathTests {
    @Test(arguments: ["a", "a/b", "...", "ä/x y", "a\nb"])
    func accepts(_ text: String) throws { #expect(try BundlePath(validating: text).text == text) }

    @Test(arguments: [
        ("", "is empty"), ("/a", "is absolute"), ("a//b", "has an empty part"), ("a/", "has an empty part"),
        ("./a", "has a part '.'"), ("a/../b", "climbs out with '..'"), ("a\0", "holds a NUL byte"),
        (String(repeating: "x", count: 256), "has a part longer than 255 bytes"),
    ])
    func refuses(_ text: String, _ reason: String) {
        #expect(throws: PathProblem(reason: reason)) { try BundlePath(validating: text) }
    }

    @Test func sortsByBytes() throws {
        let paths = try ["b", "a/z", "a-b", "Z", "ä"].map { try BundlePath(validating: $0) }
        #expect(paths.sorted().map(\.text) == ["Z", "a-b", "a/z", "b", "ä"])
    }
}

@Suite struct TextTests {
    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (1_048_576, "1.0 MiB"),
            (15_998_753_178, "14.9 GiB"), (Int64.max, "8192.0 PiB"),
        ] as [(Int64, String)])
    func sizes(_ bytes: Int64, _ text: String) { #expect(ByteCount.text(bytes) == text) }

    @Test(
        arguments: [
            ("PARAMTER", "PARAMETER"), ("form", "FROM"), ("SYSTM", "SYSTEM"), ("xyz", nil), ("FORM", "FROM"),
        ] as [(String, String?)])
    func suggests(_ typed: String, _ meant: String?) {
        #expect(Suggestion.nearest(to: typed, among: ["FROM", "PARAMETER", "SYSTEM", "TEMPLATE"]) == meant)
    }

    @Test func jsonKeepsOrderAndEscapes() {
        let json = JSON.members(["b": 1, "a": .string("x\"\\\u{1}\né/"), "n": nil, "l": [true, .null]])
        #expect(json.compact == #"{"b":1,"a":"x\"\\\u0001\né/","l":[true,null]}"#)
        #expect(JSON.members(["a": [1], "e": []]).pretty == "{\n  \"a\": [\n    1\n  ],\n  \"e\": []\n}")
    }
}

@Suite struct SourceTests {
    @Test func slicesAndConcatenationsGiveAnyRange() throws {
        let whole = ConcatenatedSource([
            MemorySource([0, 1, 2]), ZeroSource(size: 2), SliceSource(MemorySource([7, 8, 9, 10]), 1..<3),
        ])
        let all: [UInt8] = [0, 1, 2, 0, 0, 8, 9]
        #expect(whole.size == 7)
        for low in 0...7 {
            for high in low...7 {
                var sink = MemorySink()
                try whole.read(Int64(low)..<Int64(high), into: &sink)
                #expect(sink.bytes == Array(all[low..<high]))
            }
        }
    }

    @Test func progressNeverRunsBackwards() {
        let activity = Activity("x", total: 10)
        activity.advance(by: 6)
        activity.restart(at: 0)
        activity.advance(by: 4)
        #expect(activity.done == 6)
        activity.advance(by: 4)
        #expect(activity.done == 8)
    }
}
