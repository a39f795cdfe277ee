public import KapsuleCore
public import KapsuleCrypto

/// An encrypted disk around a verity image: one partition of AES-256-XTS, whose key follows from a master key, the root
/// hash and the partition's UUID.
///
/// Identifiers and key depend on the root hash, so the image is hashed before a byte of it can be encrypted.
///
/// Source: the consumer's documentation of EMWP; layout as its packer calls sgdisk.
public struct EMWPDisk: Sendable {
    /// First sector of the partition: one mebibyte, sgdisk's alignment.
    public static let firstSector: Int64 = 2048
    /// Sectors behind the partition: the table's copy, and seven that stay free.
    private static let sectorsBehind: Int64 = 40
    public static let masterKeySize = 64
    private static let keyInfo = Array("tinfoil/emwp/dm-crypt-key/v1".utf8)

    /// `NAME@REVISION`.
    public let identity: String
    /// Bytes of the image with its verity area.
    public let plaintextSize: Int64
    public let partitionUUID: UUIDBytes

    /// - Precondition: `plaintextSize` is a positive multiple of 4096.
    public init(identity: String, plaintextSize: Int64) {
        precondition(plaintextSize > 0 && plaintextSize % Int64(SectorCipher.sectorSize) == 0, "whole sectors")
        self.identity = identity
        self.plaintextSize = plaintextSize
        partitionUUID = UUIDBytes(name: "\(identity)-emwp-outer")
    }

    /// Where the encrypted bytes begin, from the start of the disk.
    public var payloadOffset: Int64 { Self.firstSector * Int64(PartitionTable.sectorSize) }
    private var lastSector: Int64 { Self.firstSector + plaintextSize / Int64(PartitionTable.sectorSize) - 1 }
    /// Of the whole disk, in bytes.
    public var size: Int64 { (lastSector + 1 + Self.sectorsBehind) * Int64(PartitionTable.sectorSize) }

    /// The partition table, once the root hash is known.
    public func table(root: Digest) -> PartitionTable {
        PartitionTable(
            diskUUID: UUIDBytes(name: "\(root.hex)-emwp-disk"), sectorCount: size / Int64(PartitionTable.sectorSize),
            partitions: [
                .init(uuid: partitionUUID, firstSector: Self.firstSector, lastSector: lastSector, name: "emwp")
            ])
    }

    /// The partition's cipher. Sector 0 is the partition's first.
    ///
    /// - Throws: `.usage` unless `masterKey` has 64 bytes.
    public func cipher(masterKey: [UInt8], root: Digest) throws -> SectorCipher {
        let key = try Self.volumeKey(masterKey: masterKey, root: root, partitionUUID: partitionUUID)
        return try SectorCipher(key: key.span)
    }

    /// The key of the disk whose root hash and partition UUID are known, as `cryptsetup` wants it: 64 bytes.
    public static func volumeKey(masterKey: [UInt8], root: Digest, partitionUUID: UUIDBytes) throws -> [UInt8] {
        guard masterKey.count == masterKeySize else { throw keySizeError(masterKey.count) }
        return HKDF.derive(
            key: masterKey, salt: Array("\(root.hex)_\(partitionUUID)".utf8), info: keyInfo,
            count: SectorCipher.keySize)
    }

    /// What is said of a master key of `count` bytes.
    public static func keySizeError(_ count: Int) -> KapsuleError {
        KapsuleError(
            .usage, id: "emwp.key-size",
            "the master key of an encrypted disk has \(masterKeySize) bytes, and this one has \(count)",
            remedy: "make one with: head -c 64 /dev/urandom | base64 -w0")
    }
}
