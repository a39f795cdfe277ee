import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct ImageAssemblyTests {
    /// What the plain way gives.
    private func expected(_ sample: SampleTree, _ map: EROFS.ImageMap) async throws -> VerityImage {
        try await VerityImage(assemble(map, sample.contents), salt: [1, 2], uuid: LayoutTests.uuid)
    }

    private func bytes(_ content: SampleContent) -> [UInt8] {
        switch content {
        case .bytes(let bytes): bytes
        case .zeros(let size): [UInt8](repeating: 0, count: Int(size))
        }
    }

    @Test(arguments: [(EROFS.Profile.modelwrap1, 0), (.modelwrap2, 6), (.privatemode, 3), (.modelwrap1, 4)])
    func piecesInAnyOrderFromAnyThreadGiveTheSameImage(_ profile: EROFS.Profile, _ number: Int) async throws {
        let sample = Corpus.tree(number)
        let map = try EROFS.layOut(sample.tree(), as: profile, uuid: LayoutTests.uuid)
        let expected = try await expected(sample, map)
        var random = SeededGenerator(seed: UInt64(number))
        for round in 0..<3 {
            let storage = MemoryStorage([UInt8](repeating: 0, count: Int(map.size)))
            let assembly = try ImageAssembly(map, salt: [1, 2], verityUUID: LayoutTests.uuid, storage: storage)
            var pieces: [(file: Int, range: Range<Int>)] = []
            let contents = sample.contents.map(bytes)
            for (file, content) in contents.enumerated() {
                var start = 0
                while start < content.count {
                    let end = min(content.count, start + 4096 * Int.random(in: 1...4, using: &random))
                    pieces.append((file, start..<end))
                    start = end
                }
            }
            pieces.shuffle(using: &random)
            if round == 1 {
                // A transfer that is tried again: first other bytes, then the right ones.
                for piece in pieces.prefix(5) {
                    let wrong = [UInt8](repeating: 0xEE, count: piece.range.count)
                    try assembly.add(wrong.span, toFile: piece.file, at: Int64(piece.range.lowerBound))
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for piece in pieces {
                    let content = contents[piece.file]
                    group.addTask {
                        try assembly.add(
                            content.span.extracting(piece.range), toFile: piece.file, at: Int64(piece.range.lowerBound))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try assembly.finish() == expected.root)
            #expect(storage.contents == expected.bytes)
        }
    }

    @Test func tailsThatComeAgainAreTheOnesThatCount() async throws {
        let sample = LayoutTests.vector()
        let map = try EROFS.layOut(sample.tree(), as: .modelwrap1, uuid: LayoutTests.uuid)
        let expected = try await expected(sample, map)
        let storage = MemoryStorage([UInt8](repeating: 0, count: Int(map.size)))
        let assembly = try ImageAssembly(map, salt: [1, 2], verityUUID: LayoutTests.uuid, storage: storage)
        for pass in 0..<2 {
            for (file, content) in sample.contents.enumerated() {
                let right = bytes(content)
                let offered = pass == 0 ? right.map { ~$0 } : right
                try assembly.add(offered.span, toFile: file, at: 0)
            }
        }
        #expect(try assembly.finish() == expected.root)
        #expect(storage.contents == expected.bytes)
    }

    @Test func aSinkTakesAFileInAnyPieces() async throws {
        let sample = Corpus.tree(3)
        let map = try EROFS.layOut(sample.tree(), as: .privatemode, uuid: LayoutTests.uuid)
        let expected = try await expected(sample, map)
        var random = SeededGenerator(seed: 4)
        let storage = MemoryStorage([UInt8](repeating: 0, count: Int(map.size)))
        let assembly = try ImageAssembly(map, salt: [1, 2], verityUUID: LayoutTests.uuid, storage: storage)
        for (file, content) in sample.contents.enumerated() {
            let content = bytes(content)
            var sink = ImageFileSink(size: Int64(content.count), blocks: SpareBlocks(blockSize: 8192)) {
                piece, offset in
                try piece.withBytes { try assembly.add($0, toFile: file, at: offset) }
            }
            var start = 0
            while start < content.count {
                let end = min(content.count, start + Int.random(in: 1...20000, using: &random))
                try sink.write(content.span.extracting(start..<end))
                start = end
            }
            try sink.finish()
        }
        #expect(try assembly.finish() == expected.root)
        #expect(storage.contents == expected.bytes)
    }

    @Test func filesThatGrowOrShrinkAreNoticed() throws {
        var tree = EROFS.Tree()
        try tree.addFile(Array("a".utf8), size: 100)
        let map = try EROFS.layOut(tree, as: .modelwrap1, uuid: .zero)
        let storage = MemoryStorage([UInt8](repeating: 0, count: Int(map.size)))
        let assembly = try ImageAssembly(map, salt: [], verityUUID: .zero, storage: storage)
        var sink = ImageFileSink(size: 100, blocks: SpareBlocks(blockSize: 4096)) { piece, offset in
            try piece.withBytes { try assembly.add($0, toFile: 0, at: offset) }
        }
        try sink.write([UInt8](repeating: 1, count: 99).span)
        #expect(throws: KapsuleError.self) { try sink.finish() }
        #expect(throws: KapsuleError.self) { try sink.write([1, 2].span) }
        #expect(throws: KapsuleError.self) { try assembly.finish() }
    }
}
