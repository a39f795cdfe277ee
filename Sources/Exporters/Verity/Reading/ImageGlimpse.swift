public import Formats
public import KapsuleCore
internal import KapsuleIO

/// What can be told of an image without reading its data. Nothing of it is proved.
public struct ImageGlimpse: Sendable {
    public let file: SealedFile
    /// As was said, or else as lies beside the image.
    public let root: Digest?
    /// Nil for an encrypted disk without its key.
    public let system: EROFS.Image?
    /// As the image has it; nil where there is none that can be read.
    public let superblock: VeritySuperblock?
    public let geometry: VerityGeometry?
    /// With what it is to be checked against; nil where nobody says that.
    public let sealed: SealedImage?
    /// Whether the tree's top is what the root hash speaks of; nil without a root hash.
    public let topAgrees: Bool?

    /// - Throws: `.unverified` for a file system that cannot be read, and what `SealedImage` throws.
    public init(_ file: SealedFile, _ claim: ImageClaim) throws {
        self.file = file
        root = claim.reference?.root ?? file.sideFile?.reference.root
        let hasRoot = root != nil
        if case .encryptedDisk = file.container, claim.masterKey == nil || !hasRoot {
            (system, superblock, geometry, sealed, topAgrees) = (nil, nil, nil, nil, nil)
            return
        }
        sealed = hasRoot ? try SealedImage(file, claim) : nil
        topAgrees = try sealed?.topAgrees()
        let parts = try Self.parts(file, sealed)
        let found = try doing("reading \(file.path)") { try EROFS.readImage(parts.data) }
        system = found
        let at = sealed?.superblockOffset ?? parts.superblockOffset ?? found.size
        superblock = try Self.superblock(of: parts.hashes, at: at)
        geometry = sealed?.geometry ?? Self.geometry(superblock, at: at)
    }

    private static func parts(
        _ file: SealedFile, _ sealed: SealedImage?
    ) throws -> (data: any ByteSource, hashes: any ByteSource, superblockOffset: Int64?) {
        if let sealed { return (sealed.data, sealed.hashes, sealed.superblockOffset) }
        guard case .repartDisk(let table) = file.container else { return (file.source, file.source, nil) }
        let slices = table.partitions.map { SliceSource(file.source, $0.range.clamped(to: 0..<file.source.size)) }
        return (slices[0], slices[1], 0)
    }

    private static func superblock(of source: some ByteSource, at offset: Int64) throws -> VeritySuperblock? {
        let end = offset + Int64(VerityGeometry.blockSize)
        guard end <= source.size else { return nil }
        return try? VeritySuperblock(decoding: try SealedImage.bytes(offset..<end, of: source))
    }

    /// As the superblock says, which may be anything: what no file can have is left out.
    private static func geometry(_ superblock: VeritySuperblock?, at offset: Int64) -> VerityGeometry? {
        guard let superblock, superblock.dataBlocks < 1 << 40 else { return nil }
        return VerityGeometry(dataBlocks: superblock.dataBlocks, treeOffset: offset + Int64(VerityGeometry.blockSize))
    }
}
