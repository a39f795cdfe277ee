import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import Synchronization
import TestSupport
import Testing

/// A file in memory.
final class MemoryStorage: ImageStorage {
    private let bytes: Mutex<[UInt8]>

    init(_ bytes: [UInt8] = []) { self.bytes = Mutex(bytes) }

    var contents: [UInt8] { bytes.withLock { $0 } }

    func write(_ new: Span<UInt8>, at offset: Int64) throws {
        let copy = unsafe new.withUnsafeBufferPointer { unsafe Array($0) }
        bytes.withLock { bytes in
            let end = Int(offset) + copy.count
            if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
            bytes.replaceSubrange(Int(offset)..<end, with: copy)
        }
    }

    func read(at offset: Int64, count: Int) throws -> [UInt8] {
        bytes.withLock { Array($0[Int(offset)..<Int(offset) + count]) }
    }
}

/// Data with superblock and tree behind it, and the root hash.
struct VerityImage {
    var bytes: [UInt8]
    var root: Digest
    var geometry: VerityGeometry

    init(_ data: [UInt8], salt: [UInt8], uuid: UUIDBytes = .zero, kernel: SHA256Kernel = .fastest) async throws {
        geometry = VerityGeometry(behindDataOf: Int64(data.count))
        let superblock = VeritySuperblock(uuid: uuid, salt: salt, dataBlocks: geometry.dataBlocks)
        let storage = MemoryStorage(data + superblock.encode())
        let tree = VerityTree(geometry, salt: salt, storage: storage, kernel: kernel)
        try await tree.addAll(of: MemorySource(data), workers: 2)
        root = try tree.finish()
        bytes = storage.contents
    }
}

@Suite struct VerityTreeTests {
    static let uuid = UUIDBytes(parsing: "11112222-3333-5444-8555-666677778888")!

    static func data(_ blocks: Int) -> [UInt8] {
        var random = SeededGenerator(seed: UInt64(blocks))
        var data: [UInt8] = []
        data.reserveCapacity(blocks * 4096)
        let pattern = random.bytes(4096)
        for _ in 0..<blocks { data += random.bytes(16) + pattern.dropFirst(16) }
        return data
    }

    // The format's vectors: directory T, and an empty directory, both in the layout of erofs-utils 1.5.
    @Test func vectorsHold() async throws {
        let sample = LayoutTests.vector()
        let map = try EROFS.layOut(sample.tree(), as: .modelwrap1, uuid: Self.uuid)
        let image = try await VerityImage(assemble(map, sample.contents), salt: [0], uuid: Self.uuid)
        #expect(image.root.hex == "360534024d3999e3a422b9f668574a4f116f3320cbbac6e35b4e967df488f429")
        #expect(Digest.of(image.bytes).hex == "4db2220ff0e356d1bf0d0a95d0f5313787d042b0e26a4a8ae848acb1c598556b")

        let emptyMap = try EROFS.layOut(EROFS.Tree(), as: .modelwrap1, uuid: Self.uuid)
        let empty = try await VerityImage(assemble(emptyMap, []), salt: [0], uuid: Self.uuid)
        #expect(empty.root.hex == "edc6b02a19351219173a99bc54ceaed66602b58ebcf8361ade0e3552e51fc051")
        #expect(Digest.of(empty.bytes).hex == "4e191a5685c107ca994b00274993d81113d436b2a9c94bc12b8ba6101bf9ccdc")
    }

    // Around the fan-out of one level and of two.
    @Test(arguments: [1, 2, 3, 127, 128, 129, 255, 256, 257, 1000, 4096, 16384, 16385])
    func filesEqualVeritysetups(_ blocks: Int) async throws {
        guard let tool = try Tool.find("veritysetup") else { return }
        let directory = try TemporaryDirectory()
        let data = Self.data(blocks)
        for saltSize in blocks > 4096 ? [32] : [1, 8, 32, 64, 65, 256] {
            var random = SeededGenerator(seed: UInt64(saltSize))
            let salt = random.bytes(saltSize)
            let path = try directory.write("image", data)
            let result = try tool.run([
                "format", path, path, "--hash-offset=\(data.count)", "--salt=\(Hex.encode(salt))",
                "--uuid=\(Self.uuid)", "--hash=sha256", "--data-blocks=\(blocks)",
            ])
            let image = try await VerityImage(data, salt: salt, uuid: Self.uuid)
            #expect(String(decoding: result, as: UTF8.self).contains(image.root.hex))
            #expect(try directory.read("image") == image.bytes, "\(blocks) blocks, \(saltSize) bytes of salt")
        }
    }

    @Test func anyOrderAndAnyPiecesGiveTheSameTree() async throws {
        var random = SeededGenerator(seed: 5)
        let data = Self.data(1000)
        let expected = try await VerityImage(data, salt: [1, 2, 3])
        for _ in 0..<10 {
            let storage = MemoryStorage(Array(expected.bytes.prefix(data.count + 4096)))
            let tree = VerityTree(expected.geometry, salt: [1, 2, 3], storage: storage)
            var pieces: [Range<Int>] = []
            var start = 0
            while start < 1000 {
                let end = min(1000, start + Int.random(in: 1...200, using: &random))
                pieces.append(start..<end)
                start = end
            }
            pieces.shuffle(using: &random)
            // Some of it comes a second time, as after a broken transfer.
            pieces.insert(contentsOf: pieces.prefix(3), at: 2)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for piece in pieces {
                    group.addTask {
                        let span = data.span.extracting(piece.lowerBound * 4096..<piece.upperBound * 4096)
                        try tree.add(span, at: Int64(piece.lowerBound))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try tree.finish() == expected.root)
            #expect(storage.contents == expected.bytes)
        }
    }

    @Test(arguments: SHA256Kernel.allCases.filter(\.isAvailable))
    func everyKernelGivesTheSameTree(_ kernel: SHA256Kernel) async throws {
        let data = Self.data(300)
        let salt = [UInt8](repeating: 7, count: 32)
        let one = try await VerityImage(data, salt: salt)
        let other = try await VerityImage(data, salt: salt, kernel: kernel)
        #expect(one.bytes == other.bytes)
    }

    @Test func aSinkTakesBytesInAnyPieces() async throws {
        var random = SeededGenerator(seed: 9)
        let data = Self.data(40)
        let expected = try await VerityImage(data, salt: [0])
        let tree = VerityTree(expected.geometry, salt: [0], storage: MemoryStorage())
        // The last block's end is missing: it is filled up with zeros, which is what stands there.
        var sink = VeritySink(tree, at: 0)
        var start = 0
        while start < data.count {
            let end = min(data.count, start + Int.random(in: 1...9000, using: &random))
            try sink.write(data.span.extracting(start..<end))
            start = end
        }
        try sink.finish()
        #expect(try tree.finish() == expected.root)
    }

    @Test func aMissingBlockIsADefect() throws {
        let data = Self.data(200)
        let tree = VerityTree(VerityGeometry(behindDataOf: 200 * 4096), salt: [], storage: MemoryStorage())
        try tree.add(data.span.extracting(first: 150 * 4096), at: 0)
        try tree.add(data.span.extracting(droppingFirst: 151 * 4096), at: 151)
        #expect(throws: KapsuleError.self) { try tree.finish() }
        try tree.add(data.span.extracting(150 * 4096..<151 * 4096), at: 150)
        #expect(throws: Never.self) { try tree.finish() }
    }

    @Test func aSuperblockIsReadBack() throws {
        let superblock = VeritySuperblock(uuid: Self.uuid, salt: [9, 8, 7], dataBlocks: 12345)
        #expect(try VeritySuperblock(decoding: superblock.encode()) == superblock)
        for offset in [0, 8, 12, 32, 64, 68, 79, 81] {
            var block = superblock.encode()
            block[offset] ^= 0xFF
            #expect(throws: KapsuleError.self, "byte \(offset)") { try VeritySuperblock(decoding: block) }
        }
        #expect(throws: KapsuleError.self) { try VeritySuperblock(decoding: [1, 2, 3]) }
    }
}
