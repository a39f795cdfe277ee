internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto

/// Data of which no byte is handed out before its block was checked against a root hash.
struct VerifiedSource: ByteSource {
    /// A fault, where somebody reads. `SealedImage` says it in words.
    struct Fault: Error {
        let fault: VerityVerifier.Fault
    }

    private static let blockSize = Int64(VerityGeometry.blockSize)
    private static let fanOut = Int64(VerityGeometry.fanOut)

    private let data: any ByteSource
    private let hashes: any ByteSource
    private let geometry: VerityGeometry
    private let hasher: BlockHasher
    /// Of the blocks of level 0, one after the other, checked; of the only data block where there is no level.
    private let leafDigests: [UInt8]

    /// Checks all levels of the tree but the lowest.
    ///
    /// - Precondition: both sources hold what the geometry says.
    init(
        data: any ByteSource, hashes: any ByteSource, _ geometry: VerityGeometry, salt: [UInt8], root: Digest
    ) throws {
        self.data = data
        self.hashes = hashes
        self.geometry = geometry
        hasher = BlockHasher(prefix: salt, blockSize: VerityGeometry.blockSize)
        var expected = root.bytes
        for (number, level) in geometry.levels.enumerated().dropFirst().reversed() {
            let bytes = try Self.bytes(level.offset..<level.offset + level.blocks * Self.blockSize, of: hashes)
            if let bad = Self.firstDifference(hasher.hash(bytes.span), expected) {
                throw Fault(fault: .hash(level: number, block: bad))
            }
            expected = Array(bytes.prefix(Int(level.digests) * VerityGeometry.digestSize))
        }
        leafDigests = expected
    }

    var size: Int64 { geometry.dataBlocks * Self.blockSize }
    var backing: ByteBacking { .stream }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        var position = range.lowerBound
        while position < range.upperBound {
            // As many blocks as one block of level 0 speaks for.
            let leaf = position / Self.blockSize / Self.fanOut
            let end = min(range.upperBound, (leaf + 1) * Self.fanOut * Self.blockSize)
            let blocks = position / Self.blockSize..<(end + Self.blockSize - 1) / Self.blockSize
            let bytes = try checked(blocks, underLeaf: leaf)
            let start = blocks.lowerBound * Self.blockSize
            try sink.write(bytes.span.extracting(Int(position - start)..<Int(end - start)))
            position = end
        }
    }

    private func checked(_ blocks: Range<Int64>, underLeaf leaf: Int64) throws -> [UInt8] {
        let bytes = try Self.bytes(
            blocks.lowerBound * Self.blockSize..<blocks.upperBound * Self.blockSize, of: data)
        let expected = try digests(of: blocks, underLeaf: leaf)
        if let bad = Self.firstDifference(hasher.hash(bytes.span), expected) {
            throw Fault(fault: .data(block: blocks.lowerBound + bad))
        }
        return bytes
    }

    private func digests(of blocks: Range<Int64>, underLeaf leaf: Int64) throws -> [UInt8] {
        guard let level = geometry.levels.first else { return leafDigests }
        let offset = level.offset + leaf * Self.blockSize
        let block = try Self.bytes(offset..<offset + Self.blockSize, of: hashes)
        guard hasher.hash(block.span)[...] == Self.slots(leaf..<leaf + 1, in: leafDigests) else {
            throw Fault(fault: .hash(level: 0, block: leaf))
        }
        let first = leaf * Self.fanOut
        return Array(Self.slots(blocks.lowerBound - first..<blocks.upperBound - first, in: block))
    }

    private static func slots(_ indices: Range<Int64>, in digests: [UInt8]) -> ArraySlice<UInt8> {
        digests[
            Int(indices.lowerBound) * VerityGeometry.digestSize..<Int(indices.upperBound) * VerityGeometry.digestSize]
    }

    /// Index of the first digest that is another.
    private static func firstDifference(_ digests: [UInt8], _ expected: [UInt8]) -> Int64? {
        guard digests != expected else { return nil }
        let byte = zip(digests, expected).enumerated().first { $1.0 != $1.1 }?.offset
        return Int64((byte ?? min(digests.count, expected.count)) / VerityGeometry.digestSize)
    }

    private static func bytes(_ range: Range<Int64>, of source: some ByteSource) throws -> [UInt8] {
        var sink = MemorySink()
        try source.read(range, into: &sink)
        return sink.bytes
    }
}
