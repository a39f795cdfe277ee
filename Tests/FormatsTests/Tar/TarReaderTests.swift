import Formats
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// What a handler heard.
struct Recorder: TarHandler, Equatable {
    struct Heard: Equatable {
        var entry: TarEntry
        var content: [UInt8] = []
        var hasEnded = false
    }
    var heard: [Heard] = []

    mutating func begin(_ entry: TarEntry) { heard.append(Heard(entry: entry)) }
    mutating func content(_ bytes: Span<UInt8>) {
        for index in bytes.indices { heard[heard.count - 1].content.append(bytes[index]) }
    }
    mutating func end() { heard[heard.count - 1].hasEnded = true }
}

/// Feeds `bytes` in blocks of random lengths.
func readTar(_ bytes: [UInt8], seed: UInt64 = 1, longest: Int = 5000) throws -> Recorder {
    var random = SeededGenerator(seed: seed)
    var reader = TarReader(Recorder(), what: "the archive")
    var done = 0
    while done < bytes.count {
        let count = min(bytes.count - done, Int.random(in: 1...longest, using: &random))
        try reader.write(bytes.span.extracting(done..<done + count))
        done += count
    }
    try reader.finish()
    return reader.handler
}

func isUnverified(_ error: any Error) -> Bool { (error as? KapsuleError)?.code == .unverified }

@Suite struct TarReaderTests {
    @Test func readsWhatWeWrite() throws {
        let files = [
            ("models/a", [UInt8](repeating: 1, count: 1000)), ("models/模型", []),
            (String(repeating: "long/", count: 60) + "f", [UInt8](repeating: 2, count: 512)),
        ]
        let archive = sampleArchive(files)
        for seed in 0..<20 {
            let heard = try readTar(archive, seed: UInt64(seed), longest: seed == 0 ? 1 : 3000).heard
            #expect(heard.map(\.entry.path) == ["models"] + files.map(\.0))
            #expect(heard.map(\.content) == [[]] + files.map(\.1))
            #expect(heard.map(\.hasEnded) == [true, true, true, true])
            #expect(heard.map(\.entry.mode) == [0o755, 0o644, 0o644, 0o644])
            let index = try TarIndex.reading(MemorySource(archive), what: "the archive")
            #expect(index.entries == heard.map(\.entry))
        }
    }

    @Test(arguments: ["v7", "ustar", "gnu", "pax", "oldgnu"])
    func readsGNUTar(_ format: String) throws {
        guard let tar = try Tool.find("tar") else { return }
        let directory = try TemporaryDirectory()
        var names = ["models/a", "models/sub/b"]
        if format != "v7" { names.append("models/" + String(repeating: "d", count: 90) + "/" + "file") }
        if ["gnu", "pax", "oldgnu"].contains(format) {
            names += ["models/模型", "models/" + String(repeating: "x", count: 180)]
        }
        for name in names { try directory.write(name, "content of \(name)") }
        let archive = try tar.run(["--format=\(format)", "--sort=name", "-cf", "-", "models"], in: directory.path)
        let heard = try readTar(archive).heard
        let files = heard.filter { $0.entry.kind == .file }
        #expect(files.map(\.entry.path).sorted() == names.sorted())
        for file in files {
            let expected = Array("content of \(file.entry.path)".utf8)
            #expect(file.content == expected)
        }
        let directories = heard.filter { $0.entry.kind == .directory }.map(\.entry.path)
        #expect(directories.contains("models"))
        #expect(try TarIndex.reading(MemorySource(archive), what: "it").entries == heard.map(\.entry))
    }

    @Test(arguments: ["PAX_FORMAT", "GNU_FORMAT"])
    func readsLinksDevicesAndGlobalHeadersOfPython(_ format: String) throws {
        guard let python = try Tool.find("python3") else { return }
        let script = """
            import sys, tarfile
            format = getattr(tarfile, sys.argv[1])
            archive = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=format, pax_headers={'comment': 'x'})
            for type, name, link in ((tarfile.SYMTYPE, 's', 'a' * 150), (tarfile.LNKTYPE, 'h', 'b' * 101),
                                     (tarfile.CHRTYPE, 'c', ''), (tarfile.FIFOTYPE, 'p' * 120, '')):
                info = tarfile.TarInfo(name); info.type = type; info.linkname = link; info.uid = 1 << 40
                archive.addfile(info)
            archive.close()
            """
        let kinds: [TarEntry.Kind] = [
            .symbolicLink(to: String(repeating: "a", count: 150)), .hardLink(to: String(repeating: "b", count: 101)),
            .special, .special,
        ]
        #expect(try readTar(python.run(["-c", script, format])).heard.map(\.entry.kind) == kinds)
    }

    @Test func gnuTarListsWhatWeWrite() throws {
        guard let tar = try Tool.find("tar") else { return }
        let archive = sampleArchive([("models/ü.bin", [1, 2, 3]), (String(repeating: "n", count: 150), [4])])
        let listing = String(
            decoding: try tar.run(["-tvf", "-", "--quoting-style=literal"], input: archive), as: UTF8.self)
        #expect(listing.contains("-rw-r--r-- 0/0") && listing.contains("models/ü.bin"))
        #expect(listing.contains("drwxr-xr-x 0/0") && listing.contains(String(repeating: "n", count: 150)))
    }

    /// Sizes beyond eleven octal digits, as pax records and as GNU's base 256: headers only.
    @Test func readsSizesFromEightGibibytes() throws {
        let ours = TarHeader.file("big", size: 1 << 33)
        var reader = TarReader(Recorder(), what: "it")
        try reader.write(ours.span)
        #expect(reader.handler.heard.map(\.entry.size) == [1 << 33])

        var gnu = TarHeader.file("big", size: 0)
        gnu.replaceSubrange(124..<136, with: [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1])
        var second = TarReader(Recorder(), what: "it")
        try second.write(checksummed(gnu).span)
        #expect(second.handler.heard.map(\.entry.size) == [1 << 33 | 1])
    }

    @Test(arguments: 0..<12)
    func refusesEveryCut(_ part: Int) throws {
        let archive = sampleArchive([("models/a", [UInt8](repeating: 1, count: 700)), ("models/ü", [1])])
        let end = archive.lastIndex { $0 != 0 }! + 1
        let contentEnd = (end + 511) / 512 * 512
        for cut in stride(from: part, to: contentEnd, by: 12) {
            #expect(throws: KapsuleError.self, "cut at \(cut)") { try readTar(Array(archive[..<cut])) }
            #expect(throws: KapsuleError.self, "cut at \(cut)") {
                try TarIndex.reading(MemorySource(Array(archive[..<cut])), what: "it")
            }
        }
        #expect(throws: KapsuleError.self) { try readTar([]) }
    }

    /// Every byte flipped in turn: refused, or the digest check behind it would have to notice; never a crash.
    @Test func flippedBytesNeverPassBothTheReaderAndTheDigest() throws {
        let archive = sampleArchive([("models/a", Array("abc".utf8)), ("models/ü", [1])])
        let digest = Digest.of(archive)
        var refused = 0
        for index in archive.indices where index < 4608 {
            var bytes = archive
            bytes[index] ^= 0x41
            do {
                _ = try readTar(bytes, longest: 10240)
                #expect(Digest.of(bytes) != digest)
            } catch {
                #expect(isUnverified(error))
                refused += 1
            }
        }
        #expect(refused > 2000)
    }
}

/// A header block with the checksum it should have.
func checksummed(_ block: [UInt8]) -> [UInt8] {
    var block = block
    block.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
    let text = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
    block.replaceSubrange(148..<155, with: Array(String(repeating: "0", count: 6 - text.count).utf8) + text.utf8 + [0])
    return block
}
