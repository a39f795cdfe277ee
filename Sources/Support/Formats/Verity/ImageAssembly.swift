public import KapsuleCore
public import KapsuleCrypto
internal import Synchronization

/// Puts an EROFS image with its hash tree together, from files whose bytes come in any order and from any number of
/// threads. Every block is hashed once, as it passes.
///
/// ```swift
/// let assembly = try ImageAssembly(map, salt: salt, verityUUID: uuid, storage: storage)
/// try assembly.add(block, toFile: 3, at: 4 << 20)      // any file, any block of it, any thread
/// let root = try assembly.finish()                     // checksum, superblocks and tree
/// ```
/// The bytes of a file may be offered again, as when a transfer is tried again: the last ones count.
public final class ImageAssembly: Sendable {
    /// A metadata block that waits for the tails of files.
    private struct OpenBlock {
        var bytes: [UInt8]
        var missing: Set<Int>
    }

    public let map: EROFS.ImageMap
    public let geometry: VerityGeometry
    private let superblock: VeritySuperblock
    private let tree: VerityTree
    private let storage: any ImageStorage
    /// Of superblock and tree.
    private let hashes: any ImageStorage
    /// By position in blocks. Block 0 is never done before `finish`, as its checksum comes last.
    private let open: Mutex<[Int64: OpenBlock]>
    /// Held over the writing of a metadata block too: a tail that comes again must find what others left.
    private let patching = Mutex(())

    private static let blockSize = Int64(EROFS.blockSize)

    /// Writes all metadata that holds no content of files. The tree will lie behind the image.
    ///
    /// - Precondition: what `storage` has not been written to reads as zeros, as a new file does.
    public convenience init(
        _ map: EROFS.ImageMap, salt: [UInt8], verityUUID: UUIDBytes, storage: any ImageStorage
    ) throws {
        try self.init(
            map, salt: salt, verityUUID: verityUUID, storage: storage,
            geometry: VerityGeometry(behindDataOf: map.size), hashes: storage)
    }

    /// The same, with the tree somewhere else, and over more than the image: over zeros behind it.
    ///
    /// - Parameters:
    ///   - geometry: its offsets count from where those of `hashes` do; the superblock is one block before the tree.
    ///   - hashes: where superblock and tree go.
    public init(
        _ map: EROFS.ImageMap, salt: [UInt8], verityUUID: UUIDBytes, storage: any ImageStorage,
        geometry: VerityGeometry, hashes: any ImageStorage
    ) throws {
        self.map = map
        self.storage = storage
        self.geometry = geometry
        self.hashes = hashes
        superblock = VeritySuperblock(uuid: verityUUID, salt: salt, dataBlocks: geometry.dataBlocks)
        tree = VerityTree(geometry, salt: salt, storage: hashes)
        let blocks = Self.blocksWithTails(of: map)
        open = Mutex(blocks)
        for region in map.metadata { try writeClosedBlocks(of: region, open: blocks) }
        try tree.addZeros(map.size / Self.blockSize..<geometry.dataBlocks)
    }

    /// Where the tree ends: behind an image, the size of the whole artifact.
    public var size: Int64 { geometry.end }

    // MARK: Content

    /// Adds bytes of a file of the tree, counted as `ImageMap.files`.
    ///
    /// - Parameters:
    ///   - bytes: up to the file's end, or whole blocks of it.
    ///   - offset: from the start of the file; a multiple of the block size.
    ///   - isInPlace: whether the storage has the whole blocks already, because a file system cloned them there. They are
    ///     hashed only. What does not fill a block is written in any case.
    public func add(
        _ bytes: Span<UInt8>, toFile file: Int, at offset: Int64, isInPlace: Bool = false
    ) throws {
        guard let place = map.files[file], !bytes.isEmpty else { return }
        precondition(offset % Self.blockSize == 0, "a piece begins at a block")
        let end = offset + Int64(bytes.count)
        precondition(end == place.size || (end < place.size && end % Self.blockSize == 0), "a piece ends at a block")
        if let data = place.data {
            let count = Int(min(end, data.length) - min(offset, data.length))
            if count > 0 { try addData(bytes.extracting(first: count), at: data.offset + offset, isInPlace) }
        }
        if let tail = place.tail, end == place.size {
            try addTail(bytes.extracting(last: Int(tail.length)), at: tail.offset, ofFile: file)
        }
    }

    private func addData(_ bytes: Span<UInt8>, at offset: Int64, _ isInPlace: Bool) throws {
        let whole = bytes.count / EROFS.blockSize * EROFS.blockSize
        let inPlace = isInPlace ? whole : 0
        if inPlace < bytes.count {
            try storage.write(bytes.extracting(droppingFirst: inPlace), at: offset + Int64(inPlace))
        }
        try tree.add(bytes.extracting(first: whole), at: offset / Self.blockSize)
        guard whole < bytes.count else { return }
        // The file's last block: zeros follow, which the storage has already.
        var last = [UInt8](repeating: 0, count: EROFS.blockSize)
        for index in whole..<bytes.count { last[index - whole] = bytes[index] }
        try tree.add(last.span, at: (offset + Int64(whole)) / Self.blockSize)
    }

    private func addTail(_ bytes: Span<UInt8>, at offset: Int64, ofFile file: Int) throws {
        let index = offset / Self.blockSize
        try patching.withLock { _ in
            var block: OpenBlock
            if let known = open.withLock({ $0[index] }) {
                block = known
            } else {
                block = OpenBlock(
                    bytes: try storage.read(at: index * Self.blockSize, count: EROFS.blockSize), missing: [])
            }
            for at in bytes.indices { block.bytes[Int(offset - index * Self.blockSize) + at] = bytes[at] }
            block.missing.remove(file)
            if block.missing.isEmpty && index != 0 {
                try write(block.bytes, atBlock: index)
                open.withLock { $0[index] = nil }
            } else {
                open.withLock { $0[index] = block }
            }
        }
    }

    // MARK: Metadata

    /// The blocks of metadata that hold tails, and block 0.
    private static func blocksWithTails(of map: EROFS.ImageMap) -> [Int64: OpenBlock] {
        var missing: [Int64: Set<Int>] = [0: []]
        for (file, place) in map.files.enumerated() {
            if let tail = place?.tail { missing[tail.offset / blockSize, default: []].insert(file) }
        }
        var blocks: [Int64: OpenBlock] = [:]
        for region in map.metadata {
            let first = region.offset / blockSize
            for index in 0..<region.bytes.count / EROFS.blockSize {
                guard let files = missing[first + Int64(index)] else { continue }
                let bytes = region.bytes[index * EROFS.blockSize..<(index + 1) * EROFS.blockSize]
                blocks[first + Int64(index)] = OpenBlock(bytes: Array(bytes), missing: files)
            }
        }
        return blocks
    }

    /// Writes the blocks of `region` that wait for nothing.
    private func writeClosedBlocks(of region: EROFS.ImageMap.Region, open: [Int64: OpenBlock]) throws {
        let first = region.offset / Self.blockSize
        var start = 0
        let count = region.bytes.count / EROFS.blockSize
        for index in 0...count where index == count || open[first + Int64(index)] != nil {
            let run = region.bytes[start * EROFS.blockSize..<index * EROFS.blockSize]
            if !run.isEmpty { try write(Array(run), atBlock: first + Int64(start)) }
            start = index + 1
        }
    }

    private func write(_ bytes: [UInt8], atBlock index: Int64) throws {
        try storage.write(bytes.span, at: index * Self.blockSize)
        try tree.add(bytes.span, at: index)
    }

    /// Seals the superblock, writes the tree and what describes it, and returns the root hash.
    ///
    /// - Throws: `.defect` when bytes of a file have not come.
    public func finish() throws -> Digest {
        let left = open.withLock { $0 }
        guard left.allSatisfy({ $0.value.missing.isEmpty }), var first = left[0] else {
            throw KapsuleError(
                .defect, id: "erofs.incomplete", "the image is not complete: the ends of some files have not come",
                remedy: "this is a mistake of kapsule; please report it")
        }
        EROFS.sealFirstBlock(&first.bytes)
        try write(first.bytes, atBlock: 0)
        try hashes.write(superblock.encode().span, at: geometry.treeOffset - Self.blockSize)
        return try tree.finish()
    }
}

extension EROFS.ImageMap.FilePlace {
    /// Bytes of the file.
    public var size: Int64 { (data?.length ?? 0) + (tail?.length ?? 0) }
}
