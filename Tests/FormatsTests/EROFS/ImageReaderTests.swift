import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct ImageReaderTests {
    private func image(_ sample: SampleTree, _ profile: EROFS.Profile = .modelwrap1) throws -> [UInt8] {
        assemble(try EROFS.layOut(sample.tree(), as: profile, uuid: LayoutTests.uuid), sample.contents)
    }

    private func bytes(_ source: some ByteSource) throws -> [UInt8] {
        var sink = MemorySink()
        try source.read(0..<source.size, into: &sink)
        return sink.bytes
    }

    /// What a tree says of each name, without a look at any image.
    private func expectedNames(_ sample: SampleTree) -> [String: (size: Int64?, permissions: UInt16)] {
        var paths: [String] = []
        var names: [String: (size: Int64?, permissions: UInt16)] = [:]
        for item in sample.items {
            let path = (item.parent.map { paths[$0] + "/" } ?? "") + Hex.encode(item.name)
            paths.append(path)
            var (kind, permissions) = (item.kind, item.permissions)
            while case .hardLink(let other) = kind {
                (kind, permissions) = (sample.items[other].kind, sample.items[other].permissions)
            }
            switch kind {
            case .file(let bytes): names[path] = (Int64(bytes.count), permissions)
            case .sparse(let size): names[path] = (size, permissions)
            default: names[path] = (nil, permissions)
            }
        }
        return names
    }

    @Test(arguments: EROFS.Profile.all.map(\.name))
    func whatIsWrittenIsReadBack(_ name: String) throws {
        let profile = try #require(EROFS.Profile.all.first { $0.name == name })
        for number in 0..<16 {
            let sample = Corpus.tree(number)
            let source = MemorySource(try image(sample, profile))
            let read = try EROFS.readImage(source)
            #expect(read.likelyProfile == profile)
            #expect(read.uuid == LayoutTests.uuid)
            #expect(read.size == source.size)
            #expect(read.inodeCount == UInt64(Set(read.entries.map(\.inodeNumber)).count))
            let expected = expectedNames(sample)
            #expect(read.entries.count == expected.count + 1, "tree \(number)")
            for entry in read.entries.dropFirst() {
                let key = entry.path.split(separator: UInt8(ascii: "/")).map { Hex.encode(Array($0)) }.joined(
                    separator: "/")
                let known = try #require(expected[key], "tree \(number), \(entry.displayPath)")
                #expect(entry.permissions == known.permissions)
                if let size = known.size { #expect(entry.kind == .regular && entry.size == size) }
            }
        }
    }

    @Test func contentAndLinksAreFound() throws {
        let sample = LayoutTests.vector()
        let source = MemorySource(try image(sample))
        let read = try EROFS.readImage(source)
        #expect(read.entries.map(\.displayPath) == ["/", "/+h", "/a", "/b", "/c", "/d", "/e", "/e/f", "/g"])
        for (path, letter, count) in [
            ("/+h", "h", 8200), ("/a", "a", 0), ("/b", "b", 100), ("/d", "d", 4066), ("/e/f", "f", 5000),
        ] {
            let entry = try #require(read.entries.first { $0.displayPath == path })
            let content = try bytes(read.content(of: entry, in: source))
            #expect(content == [UInt8](repeating: Array(letter.utf8)[0], count: count), "\(path)")
        }
        #expect(read.entries.last?.kind == .symbolicLink(target: Array("b".utf8)))
    }

    @Test func aBlockIsTracedToItsFiles() throws {
        let read = try EROFS.readImage(MemorySource(try image(LayoutTests.vector())))
        // Start blocks as in the format's vectors; tails of four files are in block 0.
        #expect(read.description(ofBlock: 1) == "/+h")
        #expect(read.description(ofBlock: 3) == "/c")
        #expect(read.description(ofBlock: 4) == "/d")
        #expect(read.description(ofBlock: 5) == "/e/f")
        #expect(read.description(ofBlock: 0) == "/+h, /b, /e/f")
        #expect(read.entries(inBlock: 0).count == 9)
    }

    /// Images of formatters, read and compared with the tree on disk.
    @Test(arguments: FormatterCase.all)
    func theFormattersImagesAreRead(_ formatter: FormatterCase) throws {
        for number in 0..<8 {
            let directory = try TemporaryDirectory()
            let sample = Corpus.tree(number)
            guard let image = try formatter.format(sample, in: directory) else { return }
            let read = try EROFS.readImage(MemorySource(image))
            #expect(read.entries.count == expectedNames(sample).count + 1)
            #expect(read.likelyProfile == formatter.profile)
        }
    }

    /// Flipped bytes and cut ends: an error or an image, never a trap, and never content outside.
    @Test func damagedImagesAreRefusedOrRead() throws {
        var refused = 0
        let images = try ([LayoutTests.vector()] + [2, 6, 14, 4].map { Corpus.tree($0) }).map { try image($0) }
        let rounds = campaign(default: 40) * 10
        for number in 0..<rounds {
            var random = SeededGenerator(seed: UInt64(number))
            var bytes = images[number % images.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                // Metadata is at the front of these, for the most part.
                let limit = Bool.random(using: &random) ? min(bytes.count, 8192) : bytes.count
                bytes[Int.random(in: 1024..<limit, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                // As one who forges would: with a fitting checksum.
                var first = Array(bytes.prefix(4096))
                EROFS.sealFirstBlock(&first)
                bytes.replaceSubrange(0..<4096, with: first)
            }
            if number % 10 == 9 { bytes.removeLast(Int.random(in: 1...bytes.count, using: &random)) }
            let source = MemorySource(bytes)
            do {
                let read = try EROFS.readImage(source)
                for entry in read.entries {
                    for extent in [entry.data, entry.tail].compactMap({ $0 }) {
                        #expect(extent.offset >= 0 && extent.length > 0, "seed \(number)")
                        #expect(extent.offset + extent.length <= source.size, "seed \(number)")
                    }
                }
            } catch let error as KapsuleError {
                #expect(error.code == .unverified, "seed \(number): \(error.message)")
                refused += 1
            }
        }
        #expect(refused > rounds / 10)
    }

    @Test func whatIsNoImageIsRefused() {
        for bytes in [[], [UInt8](repeating: 0, count: 4095), [UInt8](repeating: 0, count: 8192)] {
            #expect(throws: KapsuleError.self) { try EROFS.readImage(MemorySource(bytes)) }
        }
    }
}
