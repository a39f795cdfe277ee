internal import KapsuleCore
public import KapsuleCrypto

/// The two-partition disk of older privatemode releases: an image, and the hash tree over the whole first partition.
///
/// Source: systemd's `repart.c` for how it shares out a disk; `repart.d(5)` for what the definitions say: data with weight
/// 1000, hashes with weight 10 and at least 64 MiB, both with a null UUID, all else from the fixed seed.
public struct RepartDisk: Sendable, Hashable {
    /// Disk GUID, and the seed of what is derived.
    public static let seed = UUIDBytes(parsing: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee") ?? .zero
    /// HMAC-SHA-256 of the seed over `verity-salt`.
    public static let salt: [UInt8] = Array(
        Digest(hex: "901650a468b52a947c2c28bf8a61624eba3abc3342046de7de8ce2d6eef9e24b")?.bytes ?? [])
    /// UUID of version 4 from HMAC-SHA-256 of the seed over `verity-uuid`.
    public static let verityUUID = UUIDBytes(parsing: "924dda53-40a3-45c0-af7e-3a30babf0c5a") ?? .zero
    /// UUID of version 4 from HMAC-SHA-256 of 16 zero bytes over `file-system-uuid`.
    public static let fileSystemUUID = UUIDBytes(parsing: "3faed36c-01a6-4ccd-9b78-a1f4cbce9b1d") ?? .zero

    private static let grain: Int64 = 4096
    private static let dataWeight: Int64 = 1000
    private static let hashWeight: Int64 = 10
    private static let dataMinimum: Int64 = 10 << 20
    private static let hashMinimum: Int64 = 64 << 20

    /// Of the whole disk, in bytes.
    public let size: Int64
    /// Where the image is, in bytes from the start of the disk; what it does not fill is zero.
    public let data: Range<Int64>
    /// Where the verity superblock and, one block later, the tree are.
    public let hashes: Range<Int64>
    /// Of the tree over the whole data partition; offsets count from the start of the hash partition.
    public let geometry: VerityGeometry

    /// - Throws: `.usage` for a disk too small for the two partitions, or for the tree.
    public init(size: Int64) throws {
        func refuse() -> KapsuleError {
            KapsuleError(
                .usage, id: "repart.too-small", "a disk of \(size) bytes is too small for an image and its hash tree",
                remedy: "give a larger --disk-size")
        }
        let sectors = size / Int64(PartitionTable.sectorSize)
        let start = (PartitionTable.firstUsable * Int64(PartitionTable.sectorSize)).roundedUp(to: Self.grain)
        let end =
            (sectors - PartitionTable.entrySectors - 1) * Int64(PartitionTable.sectorSize) / Self.grain * Self.grain
        guard end - start >= Self.dataMinimum + Self.hashMinimum else { throw refuse() }
        let (dataSize, hashSize) = Self.share(end - start)
        self.size = size
        data = start..<start + dataSize
        hashes = data.upperBound..<data.upperBound + hashSize
        geometry = VerityGeometry(
            dataBlocks: dataSize / Int64(VerityGeometry.blockSize), treeOffset: Int64(VerityGeometry.blockSize))
        guard geometry.end <= hashSize else { throw refuse() }
    }

    /// The smallest disk whose data partition holds `count` bytes.
    public static func smallest(holding count: Int64) throws -> RepartDisk {
        let frame = 20480 + Int64(PartitionTable.tailSize)
        let data = max(count, dataMinimum).roundedUp(to: grain)
        // The hash partition has its minimum, or its share of the whole.
        let span = max(data + hashMinimum, (data / dataWeight + 1) * (dataWeight + hashWeight))
        var size = (frame + span).roundedUp(to: grain)
        while let less = try? RepartDisk(size: size - grain), less.data.count >= count { size -= grain }
        while try RepartDisk(size: size).data.count < count { size += grain }
        return try RepartDisk(size: size)
    }

    /// Who falls short of a minimum gets it; the others share the rest by weight, in order.
    private static func share(_ span: Int64) -> (data: Int64, hashes: Int64) {
        let weights = dataWeight + hashWeight
        let dataShare = share(of: span, dataWeight, weights)
        let hashShare = share(of: span, hashWeight, weights)
        if dataShare < dataMinimum { return (dataMinimum, (span - dataMinimum) / grain * grain) }
        if hashShare < hashMinimum { return ((span - hashMinimum) / grain * grain, hashMinimum) }
        let data = dataShare / grain * grain
        let hashes = (span - data) / grain * grain
        return (data + (span - data - hashes), hashes)
    }

    /// `span * weight / weights`, which a 64-bit product does not always hold.
    private static func share(of span: Int64, _ weight: Int64, _ weights: Int64) -> Int64 {
        let product = span.multipliedFullWidth(by: weight)
        return weights.dividingFullWidth(product).quotient
    }

    public var table: PartitionTable {
        func partition(_ range: Range<Int64>, _ name: String) -> PartitionTable.Partition {
            .init(
                uuid: .zero, firstSector: range.lowerBound / Int64(PartitionTable.sectorSize),
                lastSector: range.upperBound / Int64(PartitionTable.sectorSize) - 1, name: name)
        }
        return PartitionTable(
            diskUUID: Self.seed, sectorCount: size / Int64(PartitionTable.sectorSize),
            partitions: [partition(data, "linux-generic"), partition(hashes, "linux-generic-2")],
            legacyGeometry: .largest)
    }
}
