/// Where the parts of a hash tree are, and how large: a function of the data's length.
///
/// ```
/// treeOffset → | top level, 1 block | … | level 1 | level 0 | ← end
/// ```
/// Level 0 holds the digests of the data blocks, 128 a block, the last block filled up with zeros; each further level
/// those of the blocks of the level below, until one block is left. A single data block has no level at all.
///
/// Source: Linux `Documentation/admin-guide/device-mapper/verity.rst`, hash format 1, SHA-256, 4096-byte blocks.
public struct VerityGeometry: Sendable, Hashable {
    /// Bytes of a block, of data and of hashes.
    public static let blockSize = 4096
    public static let digestSize = 32
    /// Digests in a block.
    public static let fanOut = 128

    public struct Level: Sendable, Hashable {
        /// Of the level's first block, in bytes, counted as `treeOffset` is.
        public var offset: Int64
        public var blocks: Int64
        /// Digests that the level holds.
        public var digests: Int64
    }

    public let dataBlocks: Int64
    /// Of the top level, in bytes from the start of whatever holds the tree.
    public let treeOffset: Int64
    /// Level 0 first.
    public let levels: [Level]

    public init(dataBlocks: Int64, treeOffset: Int64) {
        precondition(dataBlocks > 0, "a tree is over something")
        self.dataBlocks = dataBlocks
        self.treeOffset = treeOffset
        var levels: [Level] = []
        var digests = dataBlocks
        while digests > 1 {
            let blocks = (digests + Int64(Self.fanOut) - 1) / Int64(Self.fanOut)
            levels.append(Level(offset: 0, blocks: blocks, digests: digests))
            digests = blocks
        }
        // The top level, which came last, lies first.
        var offset = treeOffset
        for index in levels.indices.reversed() {
            levels[index].offset = offset
            offset += levels[index].blocks * Int64(Self.blockSize)
        }
        self.levels = levels
        end = offset
    }

    /// Of what lies behind data of `size` bytes: a superblock's block, then the tree.
    public init(behindDataOf size: Int64) {
        precondition(size % Int64(Self.blockSize) == 0, "data is whole blocks")
        self.init(dataBlocks: size / Int64(Self.blockSize), treeOffset: size + Int64(Self.blockSize))
    }

    /// Behind the tree's last byte.
    public let end: Int64

    /// Data blocks whose digests block `index` of `level` holds, or leads to.
    public func dataBlocks(underBlock index: Int64, of level: Int) -> Range<Int64> {
        var span = Int64(Self.fanOut)
        for _ in 0..<level { span *= Int64(Self.fanOut) }
        return index * span..<min((index + 1) * span, dataBlocks)
    }
}
