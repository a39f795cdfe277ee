import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct VerityVerifierTests {
    static let salt = [UInt8](repeating: 3, count: 32)

    private func fault(_ image: VerityImage, _ bytes: [UInt8]) async throws -> VerityVerifier.Fault? {
        try await VerityVerifier(image.geometry, salt: Self.salt, root: image.root)
            .firstFault(data: MemorySource(bytes), hashes: MemorySource(bytes), workers: 3)
    }

    /// One byte of every block, in turn: every one is noticed and named.
    @Test(arguments: [1, 2, 130])
    func aFlippedByteInAnyBlockIsNamed(_ blocks: Int) async throws {
        let image = try await VerityImage(VerityTreeTests.data(blocks), salt: Self.salt)
        #expect(try await fault(image, image.bytes) == nil)
        for block in 0..<image.bytes.count / 4096 {
            var bytes = image.bytes
            bytes[block * 4096 + (block * 37) % 4096] ^= 0x10
            let expected: VerityVerifier.Fault?
            if block < blocks {
                expected = .data(block: Int64(block))
            } else if block == blocks {
                expected = nil  // the superblock: not looked at
            } else if blocks == 130 {
                // Level 1 is the block behind the superblock; the two of level 0 follow.
                expected = block == 131 ? .hash(level: 1, block: 0) : .hash(level: 0, block: Int64(block - 132))
            } else {
                expected = .hash(level: 0, block: 0)
            }
            #expect(try await fault(image, bytes) == expected, "block \(block)")
        }
    }

    @Test func theFirstOfSeveralFaultsIsNamed() async throws {
        let image = try await VerityImage(VerityTreeTests.data(5000), salt: Self.salt)
        var random = SeededGenerator(seed: 1)
        for _ in 0..<10 {
            var bytes = image.bytes
            let blocks = (0..<4).map { _ in Int.random(in: 0..<5000, using: &random) }
            for block in blocks { bytes[block * 4096 + 5] ^= 1 }
            let first = Dictionary(grouping: blocks, by: { $0 }).filter { $0.value.count % 2 == 1 }.keys.min()
            #expect(try await fault(image, bytes) == first.map { .data(block: Int64($0)) })
        }
    }

    @Test func dataBeforeABadHashBlockIsCheckedFirst() async throws {
        let image = try await VerityImage(VerityTreeTests.data(1000), salt: Self.salt)
        let leaves = try #require(image.geometry.levels.first)
        var bytes = image.bytes
        bytes[Int(leaves.offset) + 3 * 4096] ^= 1
        #expect(try await fault(image, bytes) == .hash(level: 0, block: 3))
        #expect(image.geometry.dataBlocks(underBlock: 3, of: 0) == 384..<512)
        bytes[200 * 4096] ^= 1
        #expect(try await fault(image, bytes) == .data(block: 200))
    }

    @Test func anotherRootSaltOrLengthIsRefused() async throws {
        let image = try await VerityImage(VerityTreeTests.data(300), salt: Self.salt)
        let source = MemorySource(image.bytes)
        let wrongRoot = VerityVerifier(image.geometry, salt: Self.salt, root: .of("other"))
        #expect(try await wrongRoot.firstFault(data: source, hashes: source, workers: 1) == .hash(level: 1, block: 0))
        let wrongSalt = VerityVerifier(image.geometry, salt: [0], root: image.root)
        #expect(try await wrongSalt.firstFault(data: source, hashes: source, workers: 1) == .hash(level: 1, block: 0))
        let short = MemorySource(Array(image.bytes.dropLast()))
        await #expect(throws: KapsuleError.self) {
            try await VerityVerifier(image.geometry, salt: Self.salt, root: image.root)
                .firstFault(data: short, hashes: short, workers: 1)
        }
    }
}
