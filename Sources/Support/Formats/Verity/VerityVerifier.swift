public import KapsuleCore
public import KapsuleCrypto
internal import Synchronization

/// Checks data against a root hash, on all cores. Trusts nothing but the root hash and what the caller says of the
/// geometry and the salt.
///
/// Every hash block is checked against the level above before its digests are believed, as the kernel does.
public struct VerityVerifier: Sendable {
    /// What is not what the root hash promises.
    public enum Fault: Sendable, Hashable {
        /// A data block, counted from the start of the data.
        case data(block: Int64)
        /// A block of the tree, counted from its level's start; nothing under it can be checked.
        case hash(level: Int, block: Int64)
    }

    public let geometry: VerityGeometry
    public let root: Digest
    private let hasher: BlockHasher

    public init(_ geometry: VerityGeometry, salt: [UInt8], root: Digest, kernel: SHA256Kernel = .fastest) {
        self.geometry = geometry
        self.root = root
        hasher = BlockHasher(prefix: salt, blockSize: VerityGeometry.blockSize, kernel: kernel)
    }

    /// The first thing that is wrong: the tree's upper levels from the top, then the data in order. Nil when all of it
    /// is as promised.
    ///
    /// - Parameters:
    ///   - data: begins with the data; may be longer.
    ///   - hashes: holds the tree, at the geometry's offsets. The same source where the tree lies behind the data.
    ///   - workers: ranges of the data that are read and hashed at one time.
    ///   - advance: is told of data bytes as they have been checked.
    /// - Throws: `.unverified` when either is too short to hold what the geometry says.
    public func firstFault(
        data: some ByteSource, hashes: some ByteSource, workers: Int,
        advance: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> Fault? {
        let dataSize = geometry.dataBlocks * Int64(VerityGeometry.blockSize)
        guard data.size >= dataSize, geometry.levels.isEmpty || hashes.size >= geometry.end else {
            throw KapsuleError(
                .unverified, id: "verity.too-short",
                "the image is cut short: it has \(data.size) bytes of data and \(hashes.size) with its tree, and needs "
                    + "\(dataSize) and \(geometry.end)",
                remedy: "fetch or build it again")
        }
        let leafDigests: [UInt8]
        switch try checkUpperLevels(hashes) {
        case .fault(let fault): return fault
        case .leaves(let digests): leafDigests = digests
        }
        let first = FirstFault()
        // Ranges begin in ascending order, and what has begun ends: every one before the fault is gone through.
        try await inRanges(
            of: dataSize, stride: VerityTree.stride, workers: workers, isEnough: { first.fault != nil }
        ) { range in
            try check(range, data: data, hashes: hashes, leafDigests, first)
            advance(Int(range.upperBound - range.lowerBound))
        }
        return first.fault
    }

    // MARK: Upper levels

    private enum UpperLevels {
        /// The digests of the blocks of level 0, believed.
        case leaves([UInt8])
        case fault(Fault)
    }

    private func checkUpperLevels(_ hashes: some ByteSource) throws -> UpperLevels {
        var expected = root.bytes
        for (number, level) in geometry.levels.enumerated().dropFirst().reversed() {
            let size = level.blocks * Int64(VerityGeometry.blockSize)
            let bytes = try read(level.offset..<level.offset + size, of: hashes)
            if let bad = firstDifference(hasher.hash(bytes.span), expected[...]) {
                return .fault(.hash(level: number, block: Int64(bad)))
            }
            expected = Array(bytes.prefix(Int(level.digests) * VerityGeometry.digestSize))
        }
        return .leaves(expected)
    }

    private func read(_ range: Range<Int64>, of source: some ByteSource) throws -> [UInt8] {
        var sink = MemorySink()
        try source.read(range, into: &sink)
        return sink.bytes
    }

    /// Index of the first digest that is another.
    private func firstDifference(_ digests: [UInt8], _ expected: ArraySlice<UInt8>) -> Int? {
        guard digests[...] != expected else { return nil }
        let byte = zip(digests, expected).enumerated().first { $1.0 != $1.1 }?.offset
        return (byte ?? min(digests.count, expected.count)) / VerityGeometry.digestSize
    }

    // MARK: Data

    /// Checks the blocks of level 0 over `range`, then the data in it. `range` begins at a multiple of 512 KiB.
    private func check(
        _ range: Range<Int64>, data: some ByteSource, hashes: some ByteSource, _ leafDigests: [UInt8],
        _ first: FirstFault
    ) throws {
        let blockSize = Int64(VerityGeometry.blockSize)
        let blocks = range.lowerBound / blockSize..<range.upperBound / blockSize
        var expected = leafDigests[...]
        var badLeaf: Int64?
        if let leaves = geometry.levels.first {
            let fanOut = Int64(VerityGeometry.fanOut)
            let leaf = blocks.lowerBound / fanOut..<(blocks.upperBound + fanOut - 1) / fanOut
            let bytes = try read(
                leaves.offset + leaf.lowerBound * blockSize..<leaves.offset + leaf.upperBound * blockSize, of: hashes)
            let slots =
                Int(leaf.lowerBound) * VerityGeometry.digestSize..<Int(leaf.upperBound) * VerityGeometry.digestSize
            badLeaf = firstDifference(hasher.hash(bytes.span), leafDigests[slots]).map { leaf.lowerBound + Int64($0) }
            expected = bytes[...].prefix(blocks.count * VerityGeometry.digestSize)
        }
        // Data before a bad block of level 0 is still checked: the first fault is wanted.
        let end = badLeaf.map { min($0 * Int64(VerityGeometry.fanOut), blocks.upperBound) } ?? blocks.upperBound
        var sink = ComparingSink(hasher, expected, first: blocks.lowerBound)
        try data.read(range.lowerBound..<end * blockSize, into: &sink)
        if let bad = sink.bad {
            first.report(.data(block: bad), at: bad)
        } else if let badLeaf {
            first.report(.hash(level: 0, block: badLeaf), at: badLeaf * Int64(VerityGeometry.fanOut))
        }
    }
}

/// Hashes blocks as they pass, and remembers the first whose digest is another than expected.
private struct ComparingSink: ByteSink {
    private let hasher: BlockHasher
    private var expected: ArraySlice<UInt8>
    private var next: Int64
    private var pending: [UInt8] = []
    private(set) var bad: Int64?

    init(_ hasher: BlockHasher, _ expected: ArraySlice<UInt8>, first: Int64) {
        self.hasher = hasher
        self.expected = expected
        next = first
    }

    mutating func write(_ bytes: Span<UInt8>) {
        var taken = 0
        if !pending.isEmpty {
            taken = min(hasher.blockSize - pending.count, bytes.count)
            for index in 0..<taken { pending.append(bytes[index]) }
            guard pending.count == hasher.blockSize else { return }
            let block = pending
            compare(block.span)
            pending.removeAll(keepingCapacity: true)
        }
        let whole = (bytes.count - taken) / hasher.blockSize * hasher.blockSize
        compare(bytes.extracting(taken..<taken + whole))
        for index in taken + whole..<bytes.count { pending.append(bytes[index]) }
    }

    private mutating func compare(_ blocks: Span<UInt8>) {
        let digests = hasher.hash(blocks)
        if bad == nil, digests[...] != expected.prefix(digests.count) {
            let byte = zip(digests, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
            bad = next + Int64(byte / BlockHasher.digestSize)
        }
        expected = expected.dropFirst(digests.count)
        next += Int64(blocks.count / hasher.blockSize)
    }
}

/// The fault at the lowest place, of those that several tasks report.
private final class FirstFault: Sendable {
    private let lowest = Mutex<(place: Int64, fault: VerityVerifier.Fault)?>(nil)

    var fault: VerityVerifier.Fault? { lowest.withLock { $0?.fault } }

    func report(_ fault: VerityVerifier.Fault, at place: Int64) {
        lowest.withLock { lowest in
            if place < lowest?.place ?? .max { lowest = (place, fault) }
        }
    }
}
