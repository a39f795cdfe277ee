public import Formats
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A file system and its hash tree in clear, with everything that is needed to check the one by the other.
public struct SealedImage: Sendable {
    public let file: SealedFile
    public let root: Digest
    public let salt: [UInt8]
    public let geometry: VerityGeometry
    /// Begins with the file system.
    public let data: any ByteSource
    /// Holds the tree at the geometry's offsets.
    public let hashes: any ByteSource
    /// What was believed without proof, in sentences.
    public let notes: [String]
    /// Of the block in `hashes` that describes the tree.
    let superblockOffset: Int64
    /// Nil where nobody says which.
    let expectedUUID: UUIDBytes?
    /// Of an encrypted disk; nil where nobody says which.
    let modelID: String?

    /// Where the data ends, in bytes.
    public var hashOffset: Int64 { geometry.dataBlocks * Int64(VerityGeometry.blockSize) }

    /// Puts together what is said of `file`, what lies beside it, and, last and with a note, what it says of itself.
    ///
    /// - Throws: `.usage` when something is missing, `.unverified` for a file that cannot be as said, `.undecryptable` for
    ///   a key that opens nothing.
    public init(_ file: SealedFile, _ claim: ImageClaim) throws {
        var notes: [String] = []
        let reference = try Self.reference(file, claim, &notes)
        self.file = file
        root = reference.root
        modelID = claim.modelID
        switch file.container {
        case .repartDisk(let table):
            let parts = try Self.partitions(of: file, table)
            (data, hashes) = parts
            geometry = VerityGeometry(
                dataBlocks: parts.data.size / Int64(VerityGeometry.blockSize),
                treeOffset: Int64(VerityGeometry.blockSize))
            superblockOffset = 0
            let isOurs = table.diskUUID == RepartDisk.seed
            expectedUUID = isOurs ? RepartDisk.verityUUID : nil
            salt = try claim.knownSalt ?? (isOurs ? RepartDisk.salt : Self.salt(of: parts.hashes, at: 0, file, &notes))
        case .image, .encryptedDisk:
            let clear = try Self.clear(file, claim, reference)
            (data, hashes) = (clear, clear)
            try Self.checkKey(file, clear, reference, claim)
            let offset = try Self.hashOffset(file, claim, reference, clear, &notes)
            geometry = VerityGeometry(behindDataOf: offset)
            superblockOffset = offset
            expectedUUID = Self.expectedUUID(file, claim, reference)
            let known = claim.knownSalt ?? (file.isPrivatemode ? [0] : nil)
            salt = try known ?? Self.salt(of: clear, at: offset, file, &notes)
        }
        self.notes = notes
    }

    // MARK: What is said

    private static func reference(
        _ file: SealedFile, _ claim: ImageClaim, _ notes: inout [String]
    ) throws -> RootReference {
        var isEncrypted = false
        if case .encryptedDisk = file.container { isEncrypted = true }
        if let reference = claim.reference {
            try claim.checkIdentity(reference, isEncrypted: isEncrypted)
            return reference
        }
        guard let found = file.sideFile else {
            throw KapsuleError(
                .usage, id: "verity.no-root",
                "there is nothing to check \(file.path) against: no root hash was given, "
                    + "and none lies beside it", remedy: "give --root-hash with the root hash or the reference")
        }
        notes.append(
            "the root hash is from \(found.path): that \(file.name) and it agree is all this can prove; give --root-hash "
                + "for more")
        try claim.checkIdentity(found.reference, isEncrypted: isEncrypted)
        return found.reference
    }

    private static func expectedUUID(
        _ file: SealedFile, _ claim: ImageClaim, _ reference: RootReference
    ) -> UUIDBytes? {
        if let modelID = claim.modelID { return UUIDBytes(name: "\(modelID)-inner") }
        if case .encryptedDisk = file.container { return nil }
        return reference.uuid ?? (file.isPrivatemode ? .zero : nil)
    }

    private static func hashOffset(
        _ file: SealedFile, _ claim: ImageClaim, _ reference: RootReference, _ clear: some ByteSource,
        _ notes: inout [String]
    ) throws -> Int64 {
        let offset: Int64
        if let said = claim.hashOffset ?? reference.hashOffset {
            offset = said
        } else {
            offset = try blockCount(of: clear, file) * Int64(VerityGeometry.blockSize)
            // privatemode's own way: the root hash holds the superblock to it.
            if !file.isPrivatemode { notes.append("the hash offset, \(offset), is from the file system's superblock") }
        }
        guard offset <= clear.size else {
            throw KapsuleError(
                .unverified, id: "verity.too-short",
                "\(file.path) is cut short: its hash tree should begin at byte \(offset), and it has \(clear.size)",
                remedy: "fetch or build it again")
        }
        return offset
    }

    // MARK: What the image says of itself

    /// Bytes 0xE0F5E1E2, little-endian, at 1024.
    static let fileSystemMagic: [UInt8] = [0xE2, 0xE1, 0xF5, 0xE0]

    private static func blockCount(of source: some ByteSource, _ file: SealedFile) throws -> Int64 {
        let block = try firstBlock(of: source)
        guard block.count == VerityGeometry.blockSize, block[1024..<1028].elementsEqual(fileSystemMagic) else {
            throw KapsuleError(
                .unverified, id: "verity.no-image", "\(file.path) does not begin with an EROFS superblock",
                remedy: "name an image, or give its hash offset with a whole reference or --hash-offset")
        }
        return block[1060..<1064].reversed().reduce(0) { $0 << 8 | Int64($1) }
    }

    static func firstBlock(of source: some ByteSource) throws -> [UInt8] {
        try bytes(0..<min(source.size, Int64(VerityGeometry.blockSize)), of: source)
    }

    static func bytes(_ range: Range<Int64>, of source: some ByteSource) throws -> [UInt8] {
        var sink = MemorySink()
        try source.read(range, into: &sink)
        return sink.bytes
    }

    private static func salt(
        of source: some ByteSource, at offset: Int64, _ file: SealedFile, _ notes: inout [String]
    ) throws -> [UInt8] {
        guard offset + Int64(VerityGeometry.blockSize) <= source.size else {
            throw KapsuleError(
                .unverified, id: "verity.too-short",
                "\(file.path) ends where its hash tree should begin, at byte \(offset)",
                remedy: "fetch or build it again")
        }
        let block = try bytes(offset..<offset + Int64(VerityGeometry.blockSize), of: source)
        let superblock = try doing("looking for the salt in \(file.path)") { try VeritySuperblock(decoding: block) }
        notes.append(
            "the salt is from the image itself; give --model-id or --salt to have it checked as well")
        return superblock.salt
    }

    // MARK: Disks

    private static func partitions(
        of file: SealedFile, _ table: PartitionTable
    ) throws -> (data: SliceSource, hashes: SliceSource) {
        let blockSize = Int64(VerityGeometry.blockSize)
        let ranges = table.partitions.map(\.range)
        guard ranges.allSatisfy({ $0.upperBound <= file.source.size }),
            ranges.allSatisfy({ ($0.upperBound - $0.lowerBound) % blockSize == 0 })
        else {
            throw KapsuleError(
                .unverified, id: "gpt.damaged",
                "\(file.path) has a partition that is cut off, or no multiple of 4096 bytes",
                remedy: "fetch or build it again")
        }
        return (SliceSource(file.source, ranges[0]), SliceSource(file.source, ranges[1]))
    }

    private static func clear(
        _ file: SealedFile, _ claim: ImageClaim, _ reference: RootReference
    ) throws -> any ByteSource {
        guard case .encryptedDisk(let table) = file.container else { return file.source }
        guard let masterKey = claim.masterKey else {
            throw KapsuleError(
                .usage, id: "emwp.no-key", "\(file.path) is encrypted, and there is no key",
                remedy: "give the master key with --key-file, PRIVATE_MODEL_KEY_FILE or PRIVATE_MODEL_KEY_B64")
        }
        try DiskFrame(file, table).checkIdentity(reference, modelID: claim.modelID)
        let range = table.partitions[0].range
        guard range.upperBound <= file.source.size,
            (range.upperBound - range.lowerBound) % Int64(SectorCipher.sectorSize) == 0
        else {
            throw KapsuleError(
                .unverified, id: "gpt.damaged",
                "\(file.path) has a partition that is cut off, or no multiple of 4096 bytes",
                remedy: "fetch or build it again")
        }
        let key = try EMWPDisk.volumeKey(
            masterKey: masterKey, root: reference.root, partitionUUID: table.partitions[0].uuid)
        return DecryptingSource(file.source, range, try SectorCipher(key: key.span))
    }

    /// A wrong key gives noise everywhere, damage does so in one place: as long as anything is as it should be, the key
    /// is right.
    private static func checkKey(
        _ file: SealedFile, _ clear: any ByteSource, _ reference: RootReference, _ claim: ImageClaim
    ) throws {
        guard case .encryptedDisk = file.container else { return }
        let block = try firstBlock(of: clear)
        if block.count == VerityGeometry.blockSize, block[1024..<1028].elementsEqual(fileSystemMagic) { return }
        if let offset = claim.hashOffset ?? reference.hashOffset,
            offset + 2 * Int64(VerityGeometry.blockSize) <= clear.size
        {
            let area = try bytes(offset..<offset + 2 * Int64(VerityGeometry.blockSize), of: clear)
            if (try? VeritySuperblock(decoding: area)) != nil { return }
            let hasher = BlockHasher(prefix: claim.knownSalt ?? [], blockSize: VerityGeometry.blockSize)
            if hasher.hash(area.span.extracting(last: VerityGeometry.blockSize)) == reference.root.bytes { return }
        }
        throw KapsuleError(
            .undecryptable, id: "emwp.wrong-key", "the key does not open \(file.path): what it decrypts to is no image",
            remedy: "give the master key that the disk was made with")
    }
}
