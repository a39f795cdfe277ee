internal import KapsuleCrypto

extension EROFS {
    /// The superblock: 128 bytes at offset 1024. All fields little-endian.
    ///
    /// Source: Linux `fs/erofs/erofs_fs.h`, struct erofs_super_block.
    struct Superblock: Sendable {
        static let offset = 1024
        static let size = 128
        static let magic: UInt32 = 0xE0F5_E1E2
        /// Feature bit 0: the checksum counts. Bit 1: times are modification times.
        static let compatibleFeatures: UInt32 = 3

        var rootNumber: UInt16
        var inodeCount: UInt64
        var blockCount: UInt32
        var metadataStart: UInt32
        var uuid: UUIDBytes
        var incompatibleFeatures: UInt32

        /// Writes the record into an image's first block, without its checksum.
        func encode(into block: inout [UInt8]) {
            let base = Self.offset
            block.put(Self.magic, at: base)
            block.put(Self.compatibleFeatures, at: base + 8)
            block.put(UInt8(12), at: base + 12)  // blkszbits: 4096-byte blocks
            block.put(rootNumber, at: base + 14)
            block.put(inodeCount, at: base + 16)
            block.put(blockCount, at: base + 36)
            block.put(metadataStart, at: base + 40)
            block.put(uuid.bytes, at: base + 48)
            block.put(incompatibleFeatures, at: base + 80)
        }
    }

    /// Writes the superblock's checksum into an image's first block, once all else in the block is there.
    ///
    /// CRC-32C over bytes 1024...4095 with the field itself zero, without the usual final inversion.
    public static func sealFirstBlock(_ block: inout [UInt8]) {
        precondition(block.count == blockSize, "the first block is sealed whole")
        block.put(UInt32(0), at: Superblock.offset + 4)
        block.put(checksum(ofFirstBlock: block), at: Superblock.offset + 4)
    }

    static func checksum(ofFirstBlock block: [UInt8]) -> UInt32 {
        var checksum = CRC32.castagnoli.start
        CRC32.castagnoli.update(&checksum, block.span.extracting(Superblock.offset..<blockSize))
        return checksum
    }
}
