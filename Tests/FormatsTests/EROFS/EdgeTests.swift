import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct EdgeTests {
    private static let isCampaign = ProcessInfo.processInfo.environment["KAPSULE_CAMPAIGN"] != nil

    private func layOut(_ sample: SampleTree, _ profile: EROFS.Profile) throws -> EROFS.ImageMap {
        try EROFS.layOut(sample.tree(), as: profile, uuid: LayoutTests.uuid)
    }

    /// The error's id; nil when there is none.
    private func refusal(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return (error as? KapsuleError)?.id }
        return nil
    }

    // MARK: Refusals

    @Test func aNameOf255BytesIsRefusedWhereTheFormatterFails() {
        var sample = SampleTree()
        sample.add([UInt8](repeating: UInt8(ascii: "n"), count: 255), .file([1]))
        #expect(refusal { _ = try layOut(sample, .modelwrap1) } == "erofs.name-255")
        #expect(refusal { _ = try layOut(sample, .modelwrap2) } == nil)
        #expect(refusal { _ = try layOut(sample, .privatemode) } == nil)
    }

    @Test(arguments: ["", ".", "..", "a/b", "a\0b", String(repeating: "x", count: 256)])
    func namesThatNoFileCanHaveAreRefused(_ name: String) {
        var tree = EROFS.Tree()
        #expect(refusal { try tree.addFile(Array(name.utf8), size: 0) } == "erofs.name")
    }

    @Test func aNameTwiceIsRefused() throws {
        var tree = EROFS.Tree()
        try tree.addFile(Array("a".utf8), size: 0)
        #expect(refusal { try tree.addDirectory(Array("a".utf8)) } == "erofs.name-twice")
        try tree.addFile(at: BundlePath(validating: "d/x"), size: 1)
        #expect(refusal { try tree.addFile(at: BundlePath(validating: "d"), size: 1) } == "erofs.name-twice")
        #expect(refusal { try tree.addFile(at: BundlePath(validating: "a/y"), size: 1) } == "erofs.name-twice")
    }

    @Test func aDeletionMarkOfOverlaysIsRefused() throws {
        var tree = EROFS.Tree()
        try tree.addSpecial(Array("gone".utf8), .characterDevice(major: 0, minor: 0), permissions: 0o600)
        for profile in EROFS.Profile.all {
            #expect(refusal { _ = try EROFS.layOut(tree, as: profile, uuid: .zero) } == "erofs.whiteout")
        }
    }

    @Test func moreBlocksThanNumbersReachAreRefused() throws {
        let edge = (Int64(UInt32.max) - 2) * 4096
        for (size, id) in [(Int64.max, "erofs.too-large"), (edge + 4096, "erofs.too-large"), (edge, nil)] {
            var tree = EROFS.Tree()
            try tree.addFile(Array("large".utf8), size: size)
            for profile in EROFS.Profile.all {
                #expect(refusal { _ = try EROFS.layOut(tree, as: profile, uuid: .zero) } == id, "\(size)")
            }
        }
        // Each fits, both do not.
        var tree = EROFS.Tree()
        try tree.addFile(Array("one".utf8), size: edge / 2)
        try tree.addFile(Array("two".utf8), size: edge / 2 + 8192)
        #expect(refusal { _ = try EROFS.layOut(tree, as: .modelwrap1, uuid: .zero) } == "erofs.too-large")
    }

    /// More than 2 MiB of names whose last block is too full to stand beside the root's inode in block 0.
    private func largeRoot(names: Int, lastNameLength: Int = 100) -> SampleTree {
        var sample = SampleTree()
        for number in 0..<names { sample.add(padded("\(number)", 100), .file([])) }
        sample.add(padded("z", lastNameLength), .file([]))
        return sample
    }

    private func padded(_ text: String, _ length: Int) -> [UInt8] {
        let bytes = Array(text.utf8)
        return [UInt8](repeating: UInt8(ascii: "n"), count: length - bytes.count) + bytes
    }

    @Test func inodeNumbersThatWrapAroundAreRefused() throws {
        // 36 entries of 112 bytes a block; 30 in the last one make a tail of more than 2912 bytes.
        let sample = largeRoot(names: 36 * 530 + 28)
        #expect(refusal { _ = try layOut(sample, .modelwrap1) } == "erofs.root-too-large")
        #expect(refusal { _ = try layOut(sample, .modelwrap2) } == nil)
        #expect(refusal { _ = try layOut(largeRoot(names: 36 * 530 + 3), .modelwrap1) } == nil)
    }

    // MARK: Sameness

    @Test func theOrderOfAddingChangesNothing() throws {
        var random = SeededGenerator(seed: 3)
        let paths = try (0..<200).map { number in
            try BundlePath(validating: "d\(number % 7)/\(number % 3 == 0 ? "e/" : "")f\(number)")
        }
        for profile in EROFS.Profile.all {
            var images: Set<Digest> = []
            for _ in 0..<4 {
                var tree = EROFS.Tree()
                var contents: [SampleContent] = []
                for path in paths.shuffled(using: &random) {
                    let content = [UInt8](repeating: UInt8(ascii: "c"), count: path.text.utf8.count * 777 % 9001)
                    try tree.addFile(at: path, size: Int64(content.count))
                    contents.append(.bytes(content))
                }
                let map = try EROFS.layOut(tree, as: profile, uuid: LayoutTests.uuid)
                images.insert(Digest.of(assemble(map, contents)))
            }
            #expect(images.count == 1)
        }
    }

    /// Each byte of an image has one owner.
    @Test(arguments: EROFS.Profile.all.map(\.name))
    func extentsNeitherOverlapNorLeaveGaps(_ name: String) throws {
        let profile = try #require(EROFS.Profile.all.first { $0.name == name })
        for number in 0..<24 {
            let map = try layOut(Corpus.tree(number), profile)
            var pieces = map.metadata.map { ($0.offset, Int64($0.bytes.count)) }
            pieces += map.files.compactMap { $0?.data }.map { ($0.offset, ($0.length + 4095) / 4096 * 4096) }
            pieces.sort { $0 < $1 }
            var end: Int64 = 0
            for (offset, length) in pieces {
                #expect(offset == end, "tree \(number)")
                end = offset + length
            }
            #expect(end == map.size)
        }
    }

    // MARK: Against the formatters

    @Test(arguments: FormatterCase.all)
    func namesLikeLostFoundAreAsTheFormatterHasThem(_ formatter: FormatterCase) throws {
        var sample = SampleTree()
        let directory = sample.add("lost+found", .directory)
        sample.add("inner", in: directory, .file([1, 2, 3]))
        sample.add("lost+found.txt", .file([4]))
        let kept = sample.add("kept", .directory)
        sample.add("lost+foundling", in: kept, .file([5, 6]))
        sample.add("lost", in: kept, .file([7]))
        let temporary = try TemporaryDirectory()
        guard let expected = try formatter.format(sample, in: temporary) else { return }
        let map = try layOut(sample, formatter.profile)
        #expect(assemble(map, sample.contents) == expected)
        let leavesOut = formatter.profile.layout == .depthFirst
        #expect(map.files.map { $0 == nil } == [leavesOut, leavesOut, leavesOut, false])
    }

    /// More than a second: a file of 4 GiB is written by the formatter. Content is zeros, so only metadata is compared.
    @Test(.enabled(if: isCampaign), arguments: FormatterCase.all, [(1 << 32) - 1, 1 << 32, (1 << 32) + 5] as [Int64])
    func filesAround4GiBEqualTheFormatters(_ formatter: FormatterCase, _ size: Int64) throws {
        guard let tool = try Tool.find(formatter.tool) else { return }
        var sample = SampleTree()
        sample.add("before", .file([1, 2, 3]))
        sample.add("large", .sparse(size))
        sample.add("zafter", .file([UInt8](repeating: 9, count: 5000)))
        let directory = try TemporaryDirectory()
        let source = directory.path + "/tree"
        try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
        try sample.make(at: source)
        try tool.run(formatter.options + ["-U\(LayoutTests.uuid)", directory.path + "/image", source])
        let map = try layOut(sample, formatter.profile)
        let image = try FileHandle(forReadingFrom: directory.url.appendingPathComponent("image"))
        #expect(try image.seekToEnd() == UInt64(map.size))
        for region in map.metadata where region.offset > 0 {
            try image.seek(toOffset: UInt64(region.offset))
            var bytes = region.bytes
            if let tail = map.files[2]?.tail, tail.offset / 4096 == region.offset / 4096 {
                let start = Int(tail.offset - region.offset)
                bytes.replaceSubrange(
                    start..<start + Int(tail.length), with: [UInt8](repeating: 9, count: Int(tail.length)))
            }
            #expect(try image.read(upToCount: bytes.count).map(Array.init) == bytes)
        }
        var small = sample.contents
        small[1] = .bytes([])
        try image.seek(toOffset: 0)
        var first = try #require(map.metadata.first).bytes
        for (file, content) in [(0, [1, 2, 3] as [UInt8]), (2, [UInt8](repeating: 9, count: 904))] {
            guard let tail = map.files[file]?.tail, tail.offset < 4096 else { continue }
            let start = Int(tail.offset)
            first.replaceSubrange(start..<start + Int(tail.length), with: content.suffix(Int(tail.length)))
        }
        first.removeLast(first.count - 4096)
        EROFS.sealFirstBlock(&first)
        #expect(try image.read(upToCount: 4096).map(Array.init) == first)
    }

    /// More than a second: tens of thousands of files are made for the formatter.
    @Test(.enabled(if: isCampaign), arguments: FormatterCase.all)
    func veryLargeDirectoriesEqualTheFormatters(_ formatter: FormatterCase) throws {
        var subdirectories = SampleTree()
        for number in 0..<66000 { subdirectories.add("d\(number)", .directory) }
        for sample in [largeRoot(names: 36 * 530 + 3), subdirectories] {
            let directory = try TemporaryDirectory()
            guard let expected = try formatter.format(sample, in: directory) else { return }
            let image = assemble(try layOut(sample, formatter.profile), sample.contents)
            #expect(image == expected, "\(firstDifference(image, expected))")
        }
    }

    @Test(arguments: EROFS.Profile.all.map(\.name))
    func theChecksOfTheFormatAcceptImages(_ name: String) throws {
        guard let fsck = try Tool.find("fsck.erofs"), let dump = try Tool.find("dump.erofs") else { return }
        let profile = try #require(EROFS.Profile.all.first { $0.name == name })
        for number in 0..<8 {
            let sample = Corpus.tree(number)
            let directory = try TemporaryDirectory()
            let path = try directory.write("image", assemble(try layOut(sample, profile), sample.contents))
            try fsck.run([path])
            #expect(try String(decoding: dump.run(["-s", path]), as: UTF8.self).contains("\(LayoutTests.uuid)"))
        }
    }
}
