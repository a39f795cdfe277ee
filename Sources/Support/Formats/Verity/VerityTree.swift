public import KapsuleCore
public import KapsuleCrypto
internal import Synchronization

/// Builds dm-verity's hash tree from data blocks that come in any order, from any number of threads.
///
/// A block of level 0 goes to the storage soon after the 128 data blocks under it have come; what is kept meanwhile is the
/// blocks of level 0 that are still incomplete or wait for those beside them, and all of level 1: 64 millionths of the data.
///
/// A data block may come more than once, as when a transfer is tried again: the last one counts.
///
/// Source: Linux `Documentation/admin-guide/device-mapper/verity.rst`, hash format 1.
public final class VerityTree: Sendable {
    /// A block of level 0 that has not got all its digests.
    private struct OpenBlock {
        var bytes: [UInt8]
        var has: [Bool]
        var missing: Int

        init(digests: Int, bytes: [UInt8]? = nil) {
            self.bytes = bytes ?? [UInt8](repeating: 0, count: VerityGeometry.blockSize)
            has = Array(repeating: bytes != nil, count: digests)
            missing = bytes == nil ? digests : 0
        }

        mutating func put(_ digests: ArraySlice<UInt8>, at slot: Int) {
            let size = VerityGeometry.digestSize
            bytes.replaceSubrange(slot * size..<slot * size + digests.count, with: digests)
            for index in slot..<slot + digests.count / size where !has[index] {
                has[index] = true
                missing -= 1
            }
        }
    }

    private struct State {
        var open: [Int64: OpenBlock] = [:]
        /// Digests of the blocks of level 0, or of the only data block.
        var upper: [UInt8]
        /// Whether block `i` of level 0 is whole.
        var isWritten: [Bool]

        mutating func finishLeaf(_ leaf: Int64, digest: ArraySlice<UInt8>) {
            let start = Int(leaf) * VerityGeometry.digestSize
            upper.replaceSubrange(start..<start + VerityGeometry.digestSize, with: digest)
            isWritten[Int(leaf)] = true
        }
    }

    public let geometry: VerityGeometry
    private let hasher: BlockHasher
    private let storage: any ImageStorage
    /// Blocks of level 0 on their way there.
    private let leaves: GatheredBlocks
    private let state: Mutex<State>
    /// Held while a block of level 0 is put together from parts, and over its write too: parts of one block come from
    /// several threads, and one that comes again must find what the others left. Whole blocks do not take it.
    private let gathering = Mutex(())

    public init(
        _ geometry: VerityGeometry, salt: [UInt8], storage: any ImageStorage, kernel: SHA256Kernel = .fastest
    ) {
        self.geometry = geometry
        self.storage = storage
        hasher = BlockHasher(prefix: salt, blockSize: VerityGeometry.blockSize, kernel: kernel)
        let blocks = Int(geometry.levels.first?.blocks ?? 1)
        leaves = GatheredBlocks(storage, at: geometry.levels.first?.offset ?? 0, count: Int64(blocks))
        state = Mutex(
            State(
                upper: Array(repeating: 0, count: blocks * VerityGeometry.digestSize),
                isWritten: Array(repeating: false, count: blocks)))
    }

    /// Adds consecutive blocks of data.
    ///
    /// Fastest when `blocks` is many, and begins and ends at multiples of 512 KiB of the data.
    ///
    /// - Parameters:
    ///   - blocks: whole blocks of 4096 bytes.
    ///   - first: position of the first one, in blocks from the start of the data.
    public func add(_ blocks: Span<UInt8>, at first: Int64) throws {
        let count = Int64(blocks.count / VerityGeometry.blockSize)
        precondition(blocks.count % VerityGeometry.blockSize == 0, "only whole blocks are hashed")
        precondition(first >= 0 && first + count <= geometry.dataBlocks, "a block lies within the data")
        try addDigests(hasher.hash(blocks)[...], at: first)
    }

    /// Adds blocks that hold nothing but zeros, such as the end of a partition that an image does not fill.
    public func addZeros(_ blocks: Range<Int64>) throws {
        precondition(blocks.lowerBound >= 0 && blocks.upperBound <= geometry.dataBlocks, "a block lies within the data")
        let zeros = [UInt8](repeating: 0, count: VerityGeometry.blockSize)
        let digest = hasher.hash(zeros.span)
        let most = Int64(VerityGeometry.fanOut)
        let digests = Array(repeatElement(digest, count: VerityGeometry.fanOut).joined())
        var first = blocks.lowerBound
        while first < blocks.upperBound {
            // Up to where the next block of level 0 begins.
            let count = min(most - first % most, blocks.upperBound - first)
            try addDigests(digests.prefix(Int(count) * VerityGeometry.digestSize), at: first)
            first += count
        }
    }

    private func addDigests(_ digests: ArraySlice<UInt8>, at first: Int64) throws {
        let count = Int64(digests.count / VerityGeometry.digestSize)
        guard let leaves = geometry.levels.first else {
            if count > 0 { state.withLock { $0.finishLeaf(0, digest: digests) } }
            return
        }
        let fanOut = Int64(VerityGeometry.fanOut)
        var done: Int64 = 0
        while done < count {
            let leaf = (first + done) / fanOut
            let slot = (first + done) % fanOut
            let taken = min(fanOut - slot, count - done)
            let bytes = digests.dropFirst(Int(done) * VerityGeometry.digestSize)
                .prefix(Int(taken) * VerityGeometry.digestSize)
            try put(bytes, at: Int(slot), ofLeaf: leaf, holding: Int(min(fanOut, leaves.digests - leaf * fanOut)))
            done += taken
        }
    }

    /// Builds and writes the levels above, and returns the root hash.
    ///
    /// - Throws: `.defect` when blocks are missing.
    public func finish() throws -> Digest {
        var upper = try state.withLock { state in
            guard state.isWritten.allSatisfy(\.self), state.open.isEmpty else {
                throw KapsuleError(
                    .defect, id: "verity.incomplete",
                    "the verity tree is not complete: \(state.isWritten.count { !$0 }) of its blocks lack digests",
                    remedy: "this is a mistake of kapsule; please report it")
            }
            return state.upper
        }
        try leaves.flush()
        for level in geometry.levels.dropFirst() {
            upper += [UInt8](repeating: 0, count: Int(level.blocks) * VerityGeometry.blockSize - upper.count)
            try storage.write(upper.span, at: level.offset)
            upper = hasher.hash(upper.span)
        }
        return Digest(bytes: upper.span)
    }

    // MARK: Level 0

    private func put(_ digests: ArraySlice<UInt8>, at slot: Int, ofLeaf leaf: Int64, holding capacity: Int) throws {
        if digests.count == capacity * VerityGeometry.digestSize {
            // The usual case: a whole block at once, and nothing to wait for.
            let padding = VerityGeometry.blockSize - digests.count
            try writeLeaf(leaf, Array(digests) + [UInt8](repeating: 0, count: padding))
            return
        }
        try gathering.withLock { _ in
            let (known, isWritten) = state.withLock { ($0.open[leaf], $0.isWritten[Int(leaf)]) }
            let written = isWritten ? try leaves.read(leaf) : nil
            var block = known ?? OpenBlock(digests: capacity, bytes: written)
            block.put(digests, at: slot)
            if block.missing == 0 {
                try writeLeaf(leaf, block.bytes)
            } else {
                state.withLock { $0.open[leaf] = block }
            }
        }
    }

    private func writeLeaf(_ leaf: Int64, _ block: [UInt8]) throws {
        try leaves.write(block, at: leaf)
        let digest = hasher.hash(block.span)
        state.withLock { state in
            state.open[leaf] = nil
            state.finishLeaf(leaf, digest: digest[...])
        }
    }
}
