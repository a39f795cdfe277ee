public import KapsuleCrypto

/// A GUID partition table on a disk of 512-byte sectors, with its protective master boot record and its copy at the end.
///
/// ```
/// | 0 MBR | 1 header | 2…33 entries | 34 … usable … T-34 | T-33…T-2 entries | T-1 header |
/// ```
/// Source: UEFI specification 2.10, chapter 5.
public struct PartitionTable: Sendable, Hashable {
    public static let sectorSize = 512
    /// Sectors that an entry array takes: 128 entries of 128 bytes.
    static let entrySectors: Int64 = 32
    static let entryCount = 128
    static let entrySize = 128
    static let headerSize = 92
    /// Of the entries behind the primary header, in sectors.
    static let primaryEntries: Int64 = 2
    /// Of the first sector that a partition may have.
    public static let firstUsable = primaryEntries + entrySectors
    /// Bytes at the start of a disk that the table takes: master boot record, header and entries.
    public static let headSize = Int(firstUsable) * sectorSize
    /// Bytes at the end of a disk that the table's copy takes: entries and header.
    public static let tailSize = (Int(entrySectors) + 1) * sectorSize

    /// "Linux filesystem data". Source: The Discoverable Partitions Specification.
    public static let linuxData = UUIDBytes(parsing: "0FC63DAF-8483-4772-8E79-3D69D8477DE4") ?? .zero

    public struct Partition: Sendable, Hashable {
        public var type: UUIDBytes
        public var uuid: UUIDBytes
        /// First and last sector, both inclusive.
        public var firstSector: Int64
        public var lastSector: Int64
        /// At most 36 UTF-16 units.
        public var name: String

        public init(
            type: UUIDBytes = PartitionTable.linuxData, uuid: UUIDBytes, firstSector: Int64, lastSector: Int64,
            name: String
        ) {
            precondition(name.utf16.count <= 36, "a partition's name has at most 36 UTF-16 units")
            precondition(firstSector <= lastSector, "a partition holds something")
            self.type = type
            self.uuid = uuid
            self.firstSector = firstSector
            self.lastSector = lastSector
            self.name = name
        }

        /// From the start of the disk, in bytes.
        public var range: Range<Int64> {
            firstSector * Int64(PartitionTable.sectorSize)..<(lastSector + 1) * Int64(PartitionTable.sectorSize)
        }
    }

    /// What the master boot record says of the disk's end in cylinders, heads and sectors, which nobody reads.
    public enum LegacyGeometry: Sendable, Hashable {
        /// Counted with 255 heads and 63 sectors, as sgdisk does.
        case counted
        /// As large as can be said, as libfdisk does.
        case largest
    }

    public let diskUUID: UUIDBytes
    /// Sectors of the whole disk.
    public let sectorCount: Int64
    public let partitions: [Partition]
    public let legacyGeometry: LegacyGeometry

    /// - Precondition: the partitions lie between the table and its copy, and are at most 128.
    public init(
        diskUUID: UUIDBytes, sectorCount: Int64, partitions: [Partition], legacyGeometry: LegacyGeometry = .counted
    ) {
        precondition(partitions.count <= Self.entryCount, "a table has at most 128 entries")
        precondition(sectorCount >= Self.firstUsable + Self.entrySectors + 1, "a disk holds a table and its copy")
        self.diskUUID = diskUUID
        self.sectorCount = sectorCount
        self.partitions = partitions
        self.legacyGeometry = legacyGeometry
        precondition(
            partitions.allSatisfy { $0.firstSector >= Self.firstUsable && $0.lastSector <= lastUsable },
            "partitions lie between the table and its copy")
    }

    /// Last sector that a partition may have.
    public var lastUsable: Int64 { sectorCount - Self.entrySectors - 2 }
    /// Where the copy begins, from the start of the disk, in bytes.
    public var tailOffset: Int64 { (sectorCount - Self.entrySectors - 1) * Int64(Self.sectorSize) }

    // MARK: Writing

    /// The first `headSize` bytes of the disk.
    public func encodeHead() -> [UInt8] {
        masterBootRecord() + header(at: 1, copyAt: sectorCount - 1, entriesAt: Self.primaryEntries) + entries()
    }

    /// The last `tailSize` bytes of the disk.
    public func encodeTail() -> [UInt8] {
        entries()
            + header(at: sectorCount - 1, copyAt: 1, entriesAt: sectorCount - Self.entrySectors - 1)
    }

    private func header(at own: Int64, copyAt other: Int64, entriesAt entriesSector: Int64) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: Self.sectorSize)
        header.put(Array("EFI PART".utf8), at: 0)
        header.put(UInt32(0x0001_0000), at: 8)  // revision 1.0
        header.put(UInt32(Self.headerSize), at: 12)
        header.put(own, at: 24)
        header.put(other, at: 32)
        header.put(Self.firstUsable, at: 40)
        header.put(lastUsable, at: 48)
        header.put(Self.mixed(diskUUID), at: 56)
        header.put(entriesSector, at: 72)
        header.put(UInt32(Self.entryCount), at: 80)
        header.put(UInt32(Self.entrySize), at: 84)
        header.put(CRC32.ethernet.of(entries()), at: 88)
        header.put(CRC32.ethernet.of(Array(header.prefix(Self.headerSize))), at: 16)
        return header
    }

    private func entries() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.entryCount * Self.entrySize)
        for (index, partition) in partitions.enumerated() {
            let base = index * Self.entrySize
            bytes.put(Self.mixed(partition.type), at: base)
            bytes.put(Self.mixed(partition.uuid), at: base + 16)
            bytes.put(partition.firstSector, at: base + 32)
            bytes.put(partition.lastSector, at: base + 40)
            for (unit, value) in partition.name.utf16.enumerated() { bytes.put(value, at: base + 56 + 2 * unit) }
        }
        return bytes
    }

    /// One partition of type EEh over the whole disk, so that old tools see that it is in use.
    private func masterBootRecord() -> [UInt8] {
        var record = [UInt8](repeating: 0, count: Self.sectorSize)
        record.put([0x00, 0x00, 0x02, 0x00, 0xEE], at: 446)
        record.put(legacyEnd(), at: 451)
        record.put(UInt32(1), at: 454)
        // sgdisk says "too large to say" one sector early: of a disk of 2^32 - 1 sectors too.
        record.put(sectorCount < Int64(UInt32.max) ? UInt32(sectorCount - 1) : .max, at: 458)
        record.put([0x55, 0xAA], at: 510)
        return record
    }

    /// Head, sector with the cylinder's upper bits, cylinder of the disk's last sector.
    private func legacyEnd() -> [UInt8] {
        let (heads, sectors): (Int64, Int64) = (255, 63)
        let last = sectorCount - 1
        let cylinder = last / (heads * sectors)
        guard legacyGeometry == .counted, cylinder <= 1023 else { return [0xFF, 0xFF, 0xFF] }
        let head = last / sectors % heads
        let sector = last % sectors + 1
        return [UInt8(head), UInt8(sector) | UInt8(cylinder >> 2 & 0xC0), UInt8(cylinder & 0xFF)]
    }

    /// A GUID as tables hold it: its first three fields little-endian. The inverse of itself.
    static func mixed(_ uuid: UUIDBytes) -> [UInt8] {
        let bytes = uuid.bytes
        return [3, 2, 1, 0, 5, 4, 7, 6].map { bytes[$0] } + bytes[8...]
    }
}
