import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// Names around every boundary of the ustar header.
private let names = [
    "a", "models/config.json", String(repeating: "n", count: 99), String(repeating: "n", count: 100),
    String(repeating: "n", count: 101), "models/ü", "models/模型/權重.safetensors",
    "😀" + String(repeating: "x", count: 99),
    String(repeating: "é", count: 100), String(repeating: "d/", count: 60) + "f",
    String(repeating: "long/", count: 600),
    "with blank and 'quote\"", "e\u{301}", String(repeating: "p", count: 988), String(repeating: "p", count: 990),
    String(repeating: "p", count: 991), "new\nline",
]

@Suite struct TarWriterTests {
    private static let oracle = """
        import sys, json, tarfile, io
        out = sys.stdout.buffer
        for name, size, kind, mode in json.load(sys.stdin):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = size, mode, 0
            info.type = tarfile.DIRTYPE if kind == 'd' else tarfile.REGTYPE
            out.write(info.tobuf(tarfile.PAX_FORMAT))
        """

    @Test func headersEqualPythonsTarfile() throws {
        guard let python = try Tool.find("python3") else { return }
        let sizes: [Int64] = [0, 1, 511, 512, 1 << 30, (1 << 33) - 1, 1 << 33, 1 << 40]
        var rows: [[Any]] = []
        var ours: [UInt8] = []
        for name in names {
            for size in sizes {
                rows.append([name, size, "f", 0o644])
                ours += TarHeader.file(name, size: size)
            }
            rows.append([name, 1, "f", 0o755])
            ours += TarHeader.file(name, size: 1, isExecutable: true)
            rows.append([name, 0, "d", 0o755])
            ours += TarHeader.directory(name)
        }
        let input = Array(try JSONSerialization.data(withJSONObject: rows))
        let theirs = try python.run(["-c", Self.oracle], input: input)
        #expect(ours.count == theirs.count)
        #expect(ours == theirs)
    }

    /// Whole archives, padded as `tarfile` closes them, for content around the block and record boundaries.
    @Test(arguments: [[0], [1], [511, 512, 513], [10240 - 1536], [10240 - 1024, 0], [9216], [100_000, 7]])
    func archivesEqualPythonsTarfile(_ sizes: [Int]) throws {
        guard let python = try Tool.find("python3") else { return }
        let archive = sampleArchive(sizes.map { ("models/f\($0)ü", [UInt8](repeating: 65, count: $0)) })
        let script = """
            import sys, tarfile, io
            with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT) as archive:
                root = tarfile.TarInfo('models'); root.type = tarfile.DIRTYPE; root.mode = 0o755
                archive.addfile(root)
                for size in map(int, sys.argv[1:]):
                    info = tarfile.TarInfo(f'models/f{size}\\u00fc'); info.size = size
                    archive.addfile(info, io.BytesIO(b'A' * size))
            """
        #expect(try python.run(["-c", script] + sizes.map(String.init)) == archive)
    }

    @Test func layoutSaysWhereEverythingIs() {
        let layout = TarLayout([
            .directory("models"), .file("models/a", size: 5), .file("models/ü", size: 512, isExecutable: true),
        ])
        #expect(layout.slots.map(\.headerOffset) == [0, 512, 1536])
        #expect(layout.slots.map(\.contentOffset) == [512, 1024, 1536 + 1536])
        #expect(layout.slots.map(\.padding) == [0, 507, 0])
        #expect(layout.size == 10240)
        #expect(layout.slots.last!.end + layout.ending == layout.size)
        #expect(TarLayout([]).size == 10240)
        #expect(TarLayout([.file("a", size: 1 << 40)]).size % 10240 == 0)
    }

    @Test func equalEntriesGiveTheDigestPinnedHere() {
        #expect(
            Digest.of(sampleArchive([("models/config.json", Array("{}\n".utf8))])).description
                == "sha256:301ad7ddf27ba4c5b2c0a5bd10843809b44f98b380dac03e6f7c985f7cdb993c")
    }
}

/// An archive of `models/` and files in it.
func sampleArchive(_ files: [(path: String, content: [UInt8])]) -> [UInt8] {
    let layout = TarLayout(
        [.directory("models")] + files.map { .file($0.path, size: Int64($0.content.count)) })
    var bytes: [UInt8] = []
    for (slot, content) in zip(layout.slots, [[]] + files.map(\.content)) {
        bytes += slot.header + content + [UInt8](repeating: 0, count: Int(slot.padding))
    }
    return bytes + [UInt8](repeating: 0, count: Int(layout.ending))
}
