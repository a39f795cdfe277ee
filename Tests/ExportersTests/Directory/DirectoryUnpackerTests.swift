import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import TestSupport
import Testing

@Suite struct DirectoryUnpackerTests {
    let directory: TemporaryDirectory
    var target: String { directory.path + "/out" }

    init() throws { directory = try TemporaryDirectory() }

    @Test(arguments: Way.allCases)
    func unpacksBelowThePrefixWithNormalModes(_ way: Way) throws {
        let layer: [Entry] = [
            .directory("models"), .file("models/config.json", "{}", mode: "0000600"), .file("bin/sh", "no"),
            .file("models/run", "#!", mode: "0000777"), .directory("models/empty"), .file("./models/sub/deep/f", "f"),
        ]
        let report = try unpack([layer], into: target, by: way)
        #expect(
            try listing(target) == [
                "config.json 644 {}", "empty/ 755", "run 755 #!", "sub/ 755", "sub/deep/ 755", "sub/deep/f 644 f",
            ])
        #expect(report.written == 3 && report.kept == 0 && report.bytes == 5)
    }

    @Test(arguments: Way.allCases)
    func upperLayersWinAndWhiteoutsRemove(_ way: Way) throws {
        let lower: [Entry] = [
            .file("models/a", "old"), .file("models/b", "b"), .file("models/dir/c", "c"), .file("models/dir/d", "d"),
            .file("models/opaque/e", "e"), .file("models/swap", "file"), .file("models/tree/f", "f"),
        ]
        let upper: [Entry] = [
            .file("models/a", "new"), .file("models/.wh.b", ""), .file("models/dir/.wh.c", ""),
            .file("models/opaque/g", "g"), .file("models/opaque/.wh..wh..opq", ""), .directory("models/swap"),
            .file("models/swap/h", "h"), .file("models/tree", "now a file"), .file("models/.wh.absent", ""),
        ]
        try unpack([lower, upper], into: target, by: way)
        #expect(
            try listing(target) == [
                "a 644 new", "dir/ 755", "dir/d 644 d", "opaque/ 755", "opaque/g 644 g", "swap/ 755", "swap/h 644 h",
                "tree 644 now a file",
            ])
    }

    @Test func aWhiteoutOfThePrefixRemovesAllOfTheImageAndNothingElse() throws {
        try directory.write("out/mine", "mine")
        try unpack(
            [[.file("models/a", "a"), .file("models/d/b", "b")], [.file(".wh.models", ""), .file("models/c", "c")]],
            into: target)
        #expect(try listing(target) == ["c 644 c", "mine 644 mine"])
        try unpack([[.file("models/.wh.mine", "")]], into: target)
        #expect(try listing(target) == ["c 644 c", "mine 644 mine"])
    }

    @Test(arguments: Way.allCases)
    func linksStayInside(_ way: Way) throws {
        let layer: [Entry] = [
            .file("models/blobs/x", "x"), .symbolicLink("models/snap/x", to: "../blobs/x"),
            .symbolicLink("models/self", to: "."), .hardLink("models/hard", to: "models/blobs/x"),
            .hardLink("models/harder", to: "models/hard"),
        ]
        for turn in 0..<2 {
            let report = try unpack([layer], into: target, by: way)
            #expect(report.kept == (turn == 0 ? 0 : 5))
        }
        #expect(
            try listing(target) == [
                "blobs/ 755", "blobs/x 644 x", "hard 644 x", "harder 644 x", "self -> .", "snap/ 755",
                "snap/x -> ../blobs/x",
            ])
        #expect(try FileStatus.of(target + "/hard", followsLinks: false)?.links == 3)
    }

    @Test(arguments: Way.allCases)
    func equalFilesAreKeptOthersAreAConflict(_ way: Way) throws {
        let layer: [Entry] = [.file("models/a", String(repeating: "a", count: 3000)), .file("models/b", "b")]
        try unpack([layer], into: target, by: way)
        let before = try FileStatus.of(target + "/a", followsLinks: false)
        let report = try unpack([layer], into: target, by: way)
        #expect(report.kept == 2 && report.written == 0)
        #expect(try FileStatus.of(target + "/a", followsLinks: false)?.inode == before?.inode)

        // Same size, the last byte differs: found late, and what was equal is carried over.
        let other: [Entry] = [.file("models/a", String(repeating: "a", count: 2999) + "z"), .file("models/b", "b")]
        #expect { try unpack([other], into: target, by: way) } throws: { ($0 as? KapsuleError)?.code == .conflict }
        #expect(try FileStatus.of(target + "/a", followsLinks: false)?.inode == before?.inode)
        var options = UnpackOptions()
        options.force = true
        #expect(try unpack([other], into: target, by: way, options: options).written == 1)
        #expect(try directory.read("out/a") == other[0].content)
        let shorter: [Entry] = [.file("models/b", "")]
        #expect { try unpack([shorter], into: target, by: way) } throws: { ($0 as? KapsuleError)?.code == .conflict }
        #expect(try Directories.names(in: target) == ["a", "b"])
    }

    @Test func aDirectoryIsNeverReplacedByAFile() throws {
        try directory.write("out/a/keep", "keep")
        var options = UnpackOptions()
        options.force = true
        for entry in [Entry.file("models/a", "x"), .symbolicLink("models/a", to: "b")] {
            #expect { try unpack([[entry]], into: target, options: options) } throws: {
                ($0 as? KapsuleError)?.code == .conflict
            }
        }
        #expect(try directory.read("out/a/keep") == Array("keep".utf8))
    }

    @Test func includesAndExcludes() throws {
        let layer: [Entry] = [
            .directory("models/empty"), .file("models/a.safetensors", "a"), .file("models/b.bin", "b"),
            .file("models/x/c.safetensors", "c"), .file("models/x/d.json", "d"),
        ]
        var options = UnpackOptions()
        options.include = PathFilter(["*.safetensors", "*.json"])
        options.exclude = PathFilter(["x/*.safetensors"])
        try unpack([layer], into: target, options: options)
        #expect(try listing(target) == ["a.safetensors 644 a", "x/ 755", "x/d.json 644 d"])
    }

    @Test(arguments: [0, 1, 3])
    func manyFilesGoThroughTheHiddenFolder(_ openFiles: Int) throws {
        let layer = (0..<20).map { Entry.file("models/d\($0 % 3)/f\($0)", "content \($0)") }
        var options = UnpackOptions()
        options.openFiles = openFiles
        try unpack([layer], into: target, options: options)
        #expect(try unpack([layer], into: target, options: options).kept == 20)
        #expect(try Directories.names(in: target) == ["d0", "d1", "d2"])
        for index in 0..<20 {
            #expect(try directory.read("out/d\(index % 3)/f\(index)") == Array("content \(index)".utf8))
            #expect(try FileStatus.of("\(target)/d\(index % 3)/f\(index)", followsLinks: false)?.mode == 0o644)
        }
    }

    /// Nothing has a name before the digest is verified, and nothing is left when it is not.
    @Test(arguments: Way.allCases, [0, 100])
    func aLayerThatIsNotWhatWasPromisedLeavesNothing(_ way: Way, openFiles: Int) throws {
        let entries: [Entry] = [.file("models/a", "a"), .file("models/b", "b"), .symbolicLink("models/l", to: "a")]
        let plain = layerBytes(entries)
        let bytes = way == .gzipStream ? try gzipped(plain) : plain
        var options = UnpackOptions()
        options.openFiles = openFiles
        let promised = Artifact(digest: Digest.of("something else"), size: Int64(bytes.count))
        do {
            let unpacker = try DirectoryUnpacker(into: target, options: options)
            if way == .file {
                let source = try FileSource(path: directory.write("blob", bytes))
                #expect { try unpacker.unpack(source, promised, compression: .none, what: "the layer") } throws: {
                    ($0 as? KapsuleError)?.id == "content.mismatch"
                }
            } else {
                let compression: LayerCompression = way == .stream ? .none : .gzip
                let layer = unpacker.layer(promised, compression: compression, what: "the layer")
                try layer.write(bytes.span)
                #expect(try Directories.names(in: target).filter { !$0.hasPrefix(".kapsule-stage-") }.isEmpty)
                #expect { try layer.finish() } throws: { ($0 as? KapsuleError)?.id == "content.mismatch" }
            }
        }
        #expect(try listing(target).isEmpty)
    }

    @Test func whatAKilledProcessLeftIsRemoved() throws {
        try directory.write("out/.kapsule-stage-dead/1", "half")
        try directory.write("out/.kapsule-stage-dead/lock", "")
        try directory.write("out/.kapsule-stage-alive/1", "half")
        let lock = try FileLock(target + "/.kapsule-stage-alive/lock", .exclusive)
        try unpack([[.file("models/a", "a")]], into: target)
        #expect(try Directories.names(in: target) == [".kapsule-stage-alive", "a"])
        withExtendedLifetime(lock) {}
    }

    /// What GNU tar packs and unpacks comes out of us the same.
    @Test(arguments: ["gnu", "pax", "ustar"], Way.allCases)
    func equalsGNUTar(_ format: String, by way: Way) throws {
        guard let tar = try Tool.find("tar") else { return }
        try directory.write("in/models/a", "a")
        try directory.write("in/models/deep/" + String(repeating: "n", count: 90) + "/b", "b")
        if format != "ustar" { try directory.write("in/models/" + String(repeating: "模", count: 50), "c") }
        try FileManager.default.createSymbolicLink(
            atPath: directory.path + "/in/models/deep/link", withDestinationPath: "../a")
        try FileManager.default.linkItem(
            atPath: directory.path + "/in/models/a", toPath: directory.path + "/in/models/hard")
        let bytes = try tar.run(
            ["--format=\(format)", "--sort=name", "-cf", "-", "models"], in: directory.path + "/in")
        try Directories.make(directory.path + "/theirs")
        try tar.run(["-x", "--strip-components=1"], input: bytes, in: directory.path + "/theirs")
        let stored = way == .gzipStream ? try gzipped(bytes) : bytes
        let source = try FileSource(path: directory.write("blob", stored))
        let unpacker = try DirectoryUnpacker(into: target)
        let blob = Artifact(digest: Digest.of(stored), size: source.size)
        if way == .stream {
            let layer = unpacker.layer(blob, compression: .none, what: "the layer")
            try layer.append(source)
            try layer.finish()
        } else {
            try unpacker.unpack(
                source, blob, compression: way == .file ? .none : .gzip, what: "the layer")
        }
        #expect(try listing(target) == listing(directory.path + "/theirs"))
    }

    /// Files that are kept, or wait in the hidden folder, hold no descriptor: 600 of them fit where few are left.
    @Test func keptFilesAreClosed() throws {
        let layer = (0..<600).map { Entry.file("models/f\($0)", "content") }
        try unpack([layer], into: target)
        var most = 0
        let unpacker = try DirectoryUnpacker(into: target)
        let bytes = layerBytes(layer)
        let blob = Artifact(digest: Digest.of(bytes), size: Int64(bytes.count))
        let sink = unpacker.layer(blob, compression: .none, what: "the layer")
        for start in stride(from: 0, to: bytes.count, by: 1024) {
            try sink.write(bytes.span.extracting(start..<min(start + 1024, bytes.count)))
            let open = try Directories.names(in: "/proc/self/fd").filter {
                (try? Directories.linkTarget("/proc/self/fd/\($0)"))?.hasPrefix(target + "/f") == true
            }
            most = max(most, open.count)
            if start > 100 * 1024 { break }
        }
        #expect(most <= 1)
    }

    @Test func asksForSpaceFirst() throws {
        let unpacker = try DirectoryUnpacker(into: target)
        try unpacker.checkSpace(for: [Artifact(digest: Digest.of("a"), size: 1000)])
        #expect { try unpacker.checkSpace(for: [Artifact(digest: Digest.of("a"), size: 1 << 60)]) } throws: {
            ($0 as? KapsuleError)?.code == .noSpace
        }
    }

    @Test func aFullDiskIsSaidBeforeTheContentComes() throws {
        let disk = directory.path + "/disk"
        try Directories.make(disk)
        guard let mount = try Tool.find("mount"), let umount = try Tool.find("umount") else { return }
        guard (try? mount.run(["-t", "tmpfs", "-o", "size=1m", "none", disk])) != nil else {
            try Tool.skip("this user cannot mount a small tmpfs")
            return
        }
        defer { _ = try? umount.run(["-l", disk]) }
        let unpacker = try DirectoryUnpacker(into: disk)
        let header = TarHeader.file("models/big", size: 4 << 20)
        let blob = Artifact(digest: Digest.of("any"), size: 5 << 20)
        do {
            let layer = unpacker.layer(blob, compression: .none, what: "the layer")
            #expect { try layer.write(header.span) } throws: { ($0 as? KapsuleError)?.code == .noSpace }
        }
        #expect(try Directories.names(in: disk).isEmpty)
        #expect(try Directories.freeBytes(at: disk) > 1_000_000)
    }

    @Test(arguments: [
        (MediaTypeCase(type: "application/vnd.oci.image.layer.v1.tar"), Optional(LayerCompression.none)),
        (MediaTypeCase(type: "application/vnd.oci.image.layer.v1.tar+gzip"), .gzip),
        (MediaTypeCase(type: "application/vnd.docker.image.rootfs.diff.tar.gzip"), .gzip),
        (MediaTypeCase(type: "application/vnd.oci.image.layer.v1.tar+zstd"), nil),
        (MediaTypeCase(type: "application/vnd.oci.image.layer.v1.tar+encrypted"), nil),
        (MediaTypeCase(type: "application/json"), nil),
    ])
    func compressionOfAMediaType(_ type: MediaTypeCase, expected: LayerCompression?) {
        #expect((try? LayerCompression(mediaType: type.type)) == expected)
    }

    struct MediaTypeCase: Sendable { let type: String }
}
