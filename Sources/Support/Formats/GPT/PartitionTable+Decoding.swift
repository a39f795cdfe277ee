internal import KapsuleCore
internal import KapsuleCrypto

extension PartitionTable {
    /// Reads the primary table from the first `headSize` bytes of a disk.
    ///
    /// Checksums are checked, and that partitions lie on the disk and do not overlap. The copy at the end is not looked at.
    ///
    /// - Throws: `.unverified` for anything that is not such a table.
    public init(decodingHead bytes: [UInt8]) throws {
        func refuse(_ why: String) -> KapsuleError {
            KapsuleError(.unverified, id: "gpt.damaged", "the partition table cannot be read: \(why)")
        }
        guard bytes.count >= Self.headSize else { throw refuse("the disk ends within it") }
        var header = Array(bytes[Self.sectorSize..<Self.sectorSize + Self.headerSize])
        guard header.starts(with: Array("EFI PART".utf8)) else {
            throw refuse("sector 1 does not begin with 'EFI PART'")
        }
        let headerCheck = header.get(UInt32.self, at: 16)
        header.put(UInt32(0), at: 16)
        guard header.get(UInt32.self, at: 12) == UInt32(Self.headerSize), CRC32.ethernet.of(header) == headerCheck
        else {
            throw refuse("the header's checksum is wrong")
        }
        let entries = Array(bytes[Int(Self.primaryEntries) * Self.sectorSize..<Self.headSize])
        guard header.get(Int64.self, at: 72) == Self.primaryEntries,
            header.get(UInt32.self, at: 80) == UInt32(Self.entryCount),
            header.get(UInt32.self, at: 84) == UInt32(Self.entrySize)
        else { throw refuse("its entries are not the usual 128 in sectors 2 to 33") }
        guard CRC32.ethernet.of(entries) == header.get(UInt32.self, at: 88) else {
            throw refuse("the entries' checksum is wrong")
        }
        let last = header.get(Int64.self, at: 32)
        guard last >= Self.firstUsable + Self.entrySectors, last < Int64.max / Int64(Self.sectorSize) - 1 else {
            throw refuse("its copy is at impossible sector \(last)")
        }
        let partitions = try (0..<Self.entryCount).compactMap { index in
            try Self.partition(Array(entries[index * Self.entrySize..<(index + 1) * Self.entrySize]), last, refuse)
        }
        let ascending = partitions.sorted { $0.firstSector < $1.firstSector }
        guard zip(ascending, ascending.dropFirst()).allSatisfy({ $0.lastSector < $1.firstSector }) else {
            throw refuse("two partitions overlap")
        }
        self.init(
            diskUUID: UUIDBytes(bytes: Self.mixed(UUIDBytes(bytes: Array(header[56..<72])))), sectorCount: last + 1,
            partitions: partitions,
            legacyGeometry: bytes[451..<454].elementsEqual([0xFF, 0xFF, 0xFF]) ? .largest : .counted)
    }

    /// The partition of one entry; nil when the entry is unused.
    private static func partition(
        _ entry: [UInt8], _ lastSectorOfDisk: Int64, _ refuse: (String) -> KapsuleError
    ) throws -> Partition? {
        guard entry[..<16].contains(where: { $0 != 0 }) else { return nil }
        let first = entry.get(Int64.self, at: 32)
        let last = entry.get(Int64.self, at: 40)
        guard first >= Self.firstUsable, first <= last, last < lastSectorOfDisk - Self.entrySectors else {
            throw refuse("a partition lies outside the disk, sectors \(first) to \(last)")
        }
        let units = (0..<36).map { entry.get(UInt16.self, at: 56 + 2 * $0) }.prefix { $0 != 0 }
        return Partition(
            type: UUIDBytes(bytes: mixed(UUIDBytes(bytes: Array(entry[..<16])))),
            uuid: UUIDBytes(bytes: mixed(UUIDBytes(bytes: Array(entry[16..<32])))), firstSector: first,
            lastSector: last, name: String(decoding: Array(units), as: UTF16.self))
    }
}
