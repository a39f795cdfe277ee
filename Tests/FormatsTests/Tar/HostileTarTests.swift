import Formats
import KapsuleCore
import TestSupport
import Testing

/// A header of any type over `content`, and the content.
private func block(_ name: String, type: Character, _ content: [UInt8] = [], claiming size: Int? = nil) -> [UInt8] {
    var header = TarHeader.file(name, size: Int64(size ?? content.count))
    header[156] = type.asciiValue!
    return checksummed(header) + content
        + [UInt8](repeating: 0, count: Int(TarHeader.padding(after: Int64(content.count))))
}

private let end = [UInt8](repeating: 0, count: 1024)

@Suite struct HostileTarTests {
    private func refusal(_ bytes: [UInt8]) -> String? {
        do {
            _ = try readTar(bytes)
            return nil
        } catch {
            return (error as? KapsuleError).map { $0.code == .unverified ? $0.id : "\($0)" } ?? "\(error)"
        }
    }

    @Test func refusesAbsurdSizes() {
        var negative = TarHeader.file("a", size: 0)
        negative.replaceSubrange(124..<136, with: [UInt8](repeating: 0xFF, count: 12))
        #expect(refusal(checksummed(negative) + end) == "tar.size")
        var huge = TarHeader.file("a", size: 0)
        huge.replaceSubrange(124..<136, with: [0x80] + [UInt8](repeating: 0x7F, count: 11))
        #expect(refusal(checksummed(huge) + end) == "tar.size")
        var letters = TarHeader.file("a", size: 0)
        letters.replaceSubrange(124..<136, with: Array("00000000xyz\u{0}".utf8))
        #expect(refusal(checksummed(letters) + end) == "tar.size")
    }

    @Test(arguments: ["size=-1", "size=99999999999999999999", "size=", "size=12a", "size=9999999999999999"])
    func refusesAbsurdPaxSizes(_ record: String) {
        let pax = Array("\(record.utf8.count + 4) \(record)\n".utf8)
        #expect(refusal(block("x", type: "x", pax) + TarHeader.file("a", size: 0) + end) == "tar.pax")
    }

    @Test(arguments: [
        "", "5", "path=a\n", "x path=a\n", "99 path=a\n", "3 a\n", "7 path\n", "0 path=a\n", "9 path=a", "10 path=ab",
        "-9 path=a\n", "7 =abc\n", "999999999999999999999 path=a\n", "9 path=a\n!", "9 path=a\n\u{0}9 path=b\n",
    ])
    func refusesMalformedPaxRecords(_ text: String) {
        let id = refusal(block("x", type: "x", Array(text.utf8)) + TarHeader.file("a", size: 0) + end)
        #expect(text.isEmpty ? id == nil : id == "tar.pax", "\(text)")
    }

    @Test func refusesNULsInNames() {
        let pax = Array("19 path=good\u{0}/evil\n".utf8)
        #expect(pax.count == 19)
        #expect(refusal(block("x", type: "x", pax) + TarHeader.file("a", size: 0) + end) == "tar.pax")
        let long = Array("good\u{0}evil\u{0}".utf8)
        #expect(refusal(block("l", type: "L", long) + TarHeader.file("a", size: 0) + end) == "tar.name")
    }

    @Test func refusesTwoNamesForOneEntry() {
        let pax = block("x", type: "x", Array("9 path=p\n".utf8))
        let long = block("l", type: "L", Array("q\u{0}".utf8))
        let file = TarHeader.file("a", size: 0)
        #expect(refusal(pax + pax + file + end) == "tar.malformed")
        #expect(refusal(long + long + file + end) == "tar.malformed")
        #expect(refusal(pax + long + file + end) == "tar.name")
        #expect(refusal(pax + end) == "tar.malformed")
        #expect(refusal(pax + file + end) == nil)
    }

    @Test func refusesOversizedExtensionsWithoutReadingThem() {
        for type in ["x", "L", "K"] as [Character] {
            #expect(refusal(block("x", type: type, claiming: 1 << 21)) == "tar.pax")
        }
    }

    @Test func refusesWhatItDoesNotUnderstand() {
        #expect(refusal(block("a", type: "S") + end) == "tar.unsupported")
        #expect(refusal(block("a", type: "M") + end) == "tar.unsupported")
        let sparse = Array("22 GNU.sparse.major=1\n".utf8)
        #expect(refusal(block("x", type: "x", sparse) + TarHeader.file("a", size: 0) + end) == "tar.unsupported")
        #expect(refusal(TarHeader.file("", size: 0) + end) == "tar.name")
        #expect(refusal(Array("not a tar".utf8) + [UInt8](repeating: 1, count: 2000)) == "tar.checksum")
        #expect(refusal([UInt8](repeating: 0, count: 512) + TarHeader.file("a", size: 0) + end) == "tar.malformed")
    }

    @Test func ignoresGlobalHeadersAndWhatFollowsTheEnd() {
        let global = block("g", type: "g", [UInt8](repeating: 0xFF, count: 5000))
        #expect(refusal(global + TarHeader.file("a", size: 0) + end + [1, 2, 3]) == nil)
    }

    @Test func manyPaxHeadersArriveAsManyEntries() throws {
        var reader = TarReader(CountingHandler(), what: "it")
        let one = block("x", type: "x", Array("9 path=p\n".utf8)) + TarHeader.file("a", size: 0)
        let thousand = Array(repeatElement(one, count: 1000).joined())
        for _ in 0..<3 { try reader.write(thousand.span) }
        #expect(reader.handler.count == 3000)
    }

    private struct CountingHandler: TarHandler {
        var count = 0
        mutating func begin(_ entry: TarEntry) { count += 1 }
        mutating func content(_ bytes: Span<UInt8>) {}
        mutating func end() {}
    }

    /// Random damage: an error of ours or a reading, and the same however the bytes are cut.
    @Test(arguments: 0..<8)
    func survivesRandomDamage(_ seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let archive = sampleArchive([("models/ü", [1, 2, 3]), (String(repeating: "n", count: 150), [4])])
        for _ in 0..<150 {
            var bytes = archive
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<5000, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            // Repaired checksums let the damage reach the code behind them.
            for start in stride(from: 0, to: 5120, by: 512) where Bool.random(using: &random) {
                bytes.replaceSubrange(start..<start + 512, with: checksummed(Array(bytes[start..<start + 512])))
            }
            let results = [1, 2].map { cut in Result { try readTar(bytes, seed: cut, longest: 900) } }
            switch (results[0], results[1]) {
            case (.success(let a), .success(let b)): #expect(a == b)
            case (.failure(let error), .failure): #expect(isUnverified(error))
            default: Issue.record("the cut decides: \(results)")
            }
        }
    }
}
