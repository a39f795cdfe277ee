import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct PartitionTableTests {
    static let diskUUID = UUIDBytes(parsing: "11111111-2222-5333-8444-555555555555")!
    static let partitionUUID = UUIDBytes(parsing: "aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeeee")!

    static func table(sectorCount: Int64) -> PartitionTable {
        PartitionTable(
            diskUUID: diskUUID, sectorCount: sectorCount,
            partitions: [.init(uuid: partitionUUID, firstSector: 2048, lastSector: sectorCount - 41, name: "emwp")])
    }

    @Test func theVectorHasItsDigest() {
        let table = Self.table(sectorCount: 2188)
        let disk =
            table.encodeHead()
            + [UInt8](repeating: 0, count: Int(table.tailOffset) - PartitionTable.headSize) + table.encodeTail()
        #expect(disk.count == 2188 * 512)
        #expect(Digest.of(disk).hex == "7aa29baf08976173c56d62f8dea233bd7515b3e19827d245db624d5d8f9d4606")
    }

    // Sizes around what cylinders, a 32-bit sector number and the copy's place turn on. The file is a hole but for the
    // table.
    @Test(
        arguments: [
            2089, 2096, 2188, 16064, 16065, 16066, 65536, 1_000_008, 16_434_494, 16_434_495, 16_434_496, 1 << 31,
            (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 6_442_450_944,
        ] as [Int64])
    func tablesEqualSgdisks(_ sectorCount: Int64) throws {
        guard let tool = try Tool.find("sgdisk") else { return }
        let directory = try TemporaryDirectory()
        let path = try directory.write("disk", [UInt8]())
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.truncate(atOffset: UInt64(sectorCount) * 512)
        try tool.run([
            "--clear", "--disk-guid=\(Self.diskUUID)", "--new=1:2048:\(sectorCount - 41)",
            "--typecode=1:\(PartitionTable.linuxData)", "--change-name=1:emwp",
            "--partition-guid=1:\(Self.partitionUUID)", path,
        ])
        let table = Self.table(sectorCount: sectorCount)
        try file.seek(toOffset: 0)
        let head = try #require(try file.read(upToCount: PartitionTable.headSize))
        #expect(Array(head) == table.encodeHead())
        try file.seek(toOffset: UInt64(table.tailOffset))
        let tail = try #require(try file.readToEnd())
        #expect(Array(tail) == table.encodeTail())
    }

    @Test func aTableIsReadBack() throws {
        for table in [Self.table(sectorCount: 4096), try RepartDisk(size: 1 << 30).table] {
            #expect(try PartitionTable(decodingHead: table.encodeHead()) == table)
        }
    }

    @Test func anyFlippedBitIsNoticed() throws {
        let head = Self.table(sectorCount: 4096).encodeHead()
        for offset in Array(512..<512 + 92) + Array(1024..<1024 + 130) {
            var bytes = head
            bytes[offset] ^= 0x40
            #expect(throws: KapsuleError.self, "byte \(offset)") { try PartitionTable(decodingHead: bytes) }
        }
        #expect(throws: KapsuleError.self) { try PartitionTable(decodingHead: Array(head.dropLast())) }
        #expect(throws: KapsuleError.self) { try PartitionTable(decodingHead: []) }
    }

    @Test func anEncryptedDisksKeyEqualsTheVector() throws {
        let master = (0..<64).map { UInt8($0) }
        let root = try #require(Digest(hex: String(repeating: "ab", count: 32)))
        let key = try EMWPDisk.volumeKey(masterKey: master, root: root, partitionUUID: Self.diskUUID)
        #expect(
            Hex.encode(key)
                == "964f5a2229a4ccc31db34970e7b089c1db31ca51fcd6d7c40f275e25e964d8a6"
                + "0d744e961a76e665bde22648456414eb25b15d5a473fbbd08ff709e00daf227f")
        #expect(throws: KapsuleError.self) {
            try EMWPDisk.volumeKey(masterKey: Array(master.dropLast()), root: root, partitionUUID: Self.diskUUID)
        }
    }

    @Test func anEncryptedDiskIsLaidOutAroundItsImage() {
        let disk = EMWPDisk(identity: "org/model@1", plaintextSize: 100 * 512 / 4096 * 4096 + 4096)
        #expect(disk.payloadOffset == 1 << 20)
        #expect(disk.size == disk.payloadOffset + disk.plaintextSize + 40 * 512)
        let table = disk.table(root: .of("x"))
        #expect(table.partitions[0].range == disk.payloadOffset..<disk.payloadOffset + disk.plaintextSize)
        #expect(table.partitions[0].uuid == UUIDBytes(name: "org/model@1-emwp-outer"))
    }

    // The hash partition has its least size below about 6.3 GiB, and about 0.99 % of the disk above.
    @Test func arepartDiskIsSharedOutByWeight() throws {
        for size in [200 << 20, 1 << 30, 6 << 30] as [Int64] {
            let disk = try RepartDisk(size: size)
            #expect(disk.hashes.count == 64 << 20)
            #expect(disk.data.lowerBound == 20480)
            #expect(disk.hashes.lowerBound == disk.data.upperBound)
            #expect(disk.hashes.upperBound == (size - 33 * 512) / 4096 * 4096)
        }
        let large = try RepartDisk(size: 100 << 30)
        #expect(large.data.count % 4096 == 0)
        #expect(abs(Double(large.hashes.count) / Double(large.size) - 10.0 / 1010) < 1e-6)
        #expect(throws: KapsuleError.self) { try RepartDisk(size: 70 << 20) }
    }
}
