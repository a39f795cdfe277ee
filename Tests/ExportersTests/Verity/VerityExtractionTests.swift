import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleIO
import TestSupport
import Testing

/// Reading an image back, without mounting it.
@Suite struct VerityExtractionTests {
    @Test(arguments: EROFS.Profile.all)
    func whatComesOutIsWhatWentIn(_ profile: EROFS.Profile) async throws {
        let sample = try SealedSample(profile)
        let target = "\(sample.directory.path)/out"
        let report = try await sample.extract(to: target)
        #expect(report.written == sample.contents.count)
        #expect(try filesBelow(target) == sample.contents)
        let mode = try FileManager.default.attributesOfItem(atPath: "\(target)/run.sh")[.posixPermissions] as? Int
        #expect(mode == 0o755)
    }

    @Test func anEncryptedDiskIsReadWithItsKey() async throws {
        let sample = try SealedSample(isEncrypted: true)
        let target = "\(sample.directory.path)/out"
        _ = try await sample.extract(to: target)
        #expect(try filesBelow(target) == sample.contents)
        #expect(throws: KapsuleError.self) { try ReadableImage(unproven: SealedFile(opening: sample.path)) }
    }

    @Test func withoutARootHashItIsReadAsItIs() async throws {
        let sample = try SealedSample()
        let target = "\(sample.directory.path)/out"
        let image = try ReadableImage(unproven: SealedFile(opening: sample.path))
        _ = try await ImageExtractor(image, UnpackOptions(), progress: SilentProgress()).extract(into: target)
        #expect(try filesBelow(target) == sample.contents)
    }

    @Test func patternsChoose() async throws {
        let sample = try SealedSample()
        let target = "\(sample.directory.path)/out"
        var options = UnpackOptions()
        options.include = PathFilter(["*.bin", "tokenizer/"])
        options.exclude = PathFilter(["merges"])
        _ = try await sample.extract(to: target, options)
        #expect(try filesBelow(target).keys.sorted() == ["tokenizer/vocab.txt", "weights/model.bin"])
        options.include = PathFilter(["nothing"])
        await #expect(throws: KapsuleError.self) { try await sample.extract(to: target, options) }
    }

    @Test func whatIsThereIsKeptOrInTheWay() async throws {
        let sample = try SealedSample()
        let target = "\(sample.directory.path)/out"
        _ = try await sample.extract(to: target)
        let again = try await sample.extract(to: target)
        #expect(again.written == 0 && again.kept == sample.contents.count)
        // Another of the same length, and one of another.
        for path in ["weights/model.bin", "config.json"] {
            let other = path == "config.json" ? [1] : [UInt8](repeating: 1, count: sample.contents[path]!.count)
            try sample.directory.write("out/\(path)", other)
            await #expect { try await sample.extract(to: target) } throws: { ($0 as? KapsuleError)?.code == .conflict }
            #expect(try sample.directory.read("out/\(path)") == other)
            var options = UnpackOptions()
            options.force = true
            #expect(try await sample.extract(to: target, options).written == 1)
            #expect(try filesBelow(target) == sample.contents)
        }
    }

    /// Every block of every file in turn: a file with a bad block never gets its name, and what has its name is right.
    @Test func noByteOfABadBlockIsWritten() async throws {
        let sample = try SealedSample()
        let map = try BlockMap(sample)
        for block in stride(from: Int64(0), to: map.geometry.dataBlocks, by: 7) {
            let spot = map.spot(inBlock: block)
            try sample.flip(spot.offset)
            let target = "\(sample.directory.path)/out-\(block)"
            await #expect("block \(block)") {
                try await sample.extract(to: target)
            } throws: { ($0 as? KapsuleError)?.code == .unverified }
            if FileManager.default.fileExists(atPath: target) {
                for (path, bytes) in try filesBelow(target) {
                    #expect(bytes == sample.contents[path], "\(path), block \(block)")
                    #expect(!spot.says.contains("(/\(path))"), "block \(block)")
                }
            }
            try sample.flip(spot.offset)
        }
    }

    @Test func nothingLeadsOutOfTheTarget() async throws {
        guard let mkfs = try Tool.find("mkfs.erofs") else { return }
        for target in ["/etc/passwd", "../../up", "a/../../up"] {
            let directory = try TemporaryDirectory()
            try directory.write("tree/a/file", "x")
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory.path)/tree/link", withDestinationPath: target)
            try mkfs.run(["--all-root", "-T0", "\(directory.path)/image", "\(directory.path)/tree"])
            let image = try ReadableImage(unproven: SealedFile(opening: "\(directory.path)/image"))
            await #expect("\(target)") {
                try await ImageExtractor(image, UnpackOptions(), progress: SilentProgress())
                    .extract(into: "\(directory.path)/out")
            } throws: { ($0 as? KapsuleError)?.id == "unpack.refused" }
        }
    }

    @Test func linksAreMadeAgain() async throws {
        guard let mkfs = try Tool.find("mkfs.erofs") else { return }
        let directory = try TemporaryDirectory()
        let file = try directory.write("tree/a/file", [UInt8](repeating: 7, count: 5000))
        try FileManager.default.linkItem(atPath: file, toPath: "\(directory.path)/tree/again")
        try FileManager.default.createSymbolicLink(
            atPath: "\(directory.path)/tree/a/link", withDestinationPath: "../again")
        try mkfs.run(["--all-root", "-T0", "\(directory.path)/image", "\(directory.path)/tree"])
        let image = try ReadableImage(unproven: SealedFile(opening: "\(directory.path)/image"))
        let target = "\(directory.path)/out"
        for _ in 0..<2 {
            _ = try await ImageExtractor(image, UnpackOptions(), progress: SilentProgress()).extract(into: target)
        }
        #expect(try filesBelow(target) == filesBelow("\(directory.path)/tree"))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(target)/a/link") == "../again")
        let links = try FileManager.default.attributesOfItem(atPath: "\(target)/again")[.referenceCount] as? Int
        #expect(links == 2)
    }

    /// The formatter's own reader, and this machine's kernel, see the same files.
    @Test(arguments: EROFS.Profile.all)
    func othersReadTheSame(_ profile: EROFS.Profile) async throws {
        let sample = try SealedSample(profile)
        let target = "\(sample.directory.path)/out"
        _ = try await sample.extract(to: target)
        if let fsck = try Tool.find("fsck.erofs") {
            let extracted = "\(sample.directory.path)/fsck"
            try fsck.run(["--extract=\(extracted)", sample.path])
            #expect(try filesBelow(extracted) == filesBelow(target))
        }
        guard Ownership.effectiveUser == 0 else { return try Tool.skip("a loop mount needs root") }
        guard let mount = try Tool.find("mount"), let umount = try Tool.find("umount") else { return }
        let mounted = "\(sample.directory.path)/mounted"
        try Directories.make(mounted)
        do {
            try mount.run(["-t", "erofs", "-o", "loop,ro,nodev,nosuid,noexec", sample.path, mounted])
        } catch let error as Tool.Failed {
            // A container's root may have no loop devices; the guest of the kernel tests mounts the same then.
            return FileHandle.standardError.write(Data("NOT COMPARED with a loop mount: \(error)\n".utf8))
        }
        defer { _ = try? umount.run([mounted]) }
        #expect(try filesBelow(mounted) == filesBelow(target))
    }
}
