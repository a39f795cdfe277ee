import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct RepartExporterTests {
    private func make(
        _ options: RepartExporter.Options, _ directory: TemporaryDirectory
    ) throws -> (receipt: ExportReceipt, disk: [UInt8]) {
        let (bundle, _) = try VerityExporterTests.bundle()
        let receipt = try VerityExporterTests.run(RepartExporter(to: directory.path, options), bundle)
        return (receipt, try directory.read("disk.raw"))
    }

    /// systemd-repart shares out the disk and copies our image into its data partition.
    ///
    /// Its tree is not compared: release 252 makes one of 512-byte blocks with a random salt. Needs loop devices; a run that cannot have them says so.
    @Test(arguments: [nil, 100 << 20] as [Int64?])
    func aDiskEqualsSystemdReparts(_ size: Int64?) throws {
        guard let repart = try Tool.find("systemd-repart"), let sgdisk = try Tool.find("sgdisk") else { return }
        let directory = try TemporaryDirectory()
        var options = RepartExporter.Options()
        options.diskSize = size
        let (_, disk) = try make(options, directory)
        let table = try PartitionTable(decodingHead: Array(disk.prefix(PartitionTable.headSize)))
        let data = table.partitions[0].range
        let blocks = disk[Int(data.lowerBound) + 0x424..<Int(data.lowerBound) + 0x428].reversed().reduce(0) {
            $0 << 8 | Int($1)
        }
        let image = try directory.write("image", Array(disk[Int(data.lowerBound)...].prefix(blocks * 4096)))
        let definition = "[Partition]\nType=linux-generic\nUUID=null\nVerityMatchKey=root\n"
        try directory.write(
            "definitions/00-root.conf", definition + "Weight=1000\nVerity=data\nCopyBlocks=\(image)\n")
        try directory.write(
            "definitions/01-hash.conf", definition + "Weight=10\nSizeMinBytes=64M\nVerity=hash\n")
        let other = try directory.write("other.raw", [])
        try FileHandle(forUpdating: URL(fileURLWithPath: other)).truncate(atOffset: UInt64(disk.count))
        try sgdisk.run(["--clear", "--disk-guid=\(RepartDisk.seed)", other])
        do {
            try repart.run([
                "--dry-run=no", "--empty=allow", "--seed=\(RepartDisk.seed)",
                "--definitions=\(directory.path)/definitions", "--json=pretty", other,
            ])
        } catch {
            return try Tool.skip("systemd-repart cannot work here: \(error)")
        }
        var expected = try directory.read("other.raw")
        // The master boot record is sgdisk's there: libfdisk leaves one that it finds.
        expected.replaceSubrange(446..<462, with: disk[446..<462])
        let hashes = Int(table.partitions[1].range.lowerBound)..<Int(table.partitions[1].range.upperBound)
        expected.replaceSubrange(hashes, with: disk[hashes])
        // Not an expectation on the arrays: the difference of a hundred megabytes is nothing to print.
        let difference = disk == expected ? nil : zip(disk, expected).enumerated().first { $1.0 != $1.1 }?.offset
        #expect(disk.count == expected.count)
        #expect(difference == nil)
    }

    @Test func theTreeIsOverTheWholeDataPartition() async throws {
        let directory = try TemporaryDirectory()
        let (receipt, disk) = try make(RepartExporter.Options(), directory)
        let layout = try RepartDisk(size: Int64(disk.count))
        let verifier = VerityVerifier(layout.geometry, salt: RepartDisk.salt, root: receipt.identity)
        func fault(_ disk: [UInt8]) async throws -> VerityVerifier.Fault? {
            let source = MemorySource(disk)
            return try await verifier.firstFault(
                data: SliceSource(source, layout.data), hashes: SliceSource(source, layout.hashes), workers: 2)
        }
        #expect(try await fault(disk) == nil)
        var changed = disk
        changed[Int(layout.data.upperBound) - 1] = 1
        #expect(try await fault(changed) == .data(block: layout.geometry.dataBlocks - 1))
        let superblock = try VeritySuperblock(decoding: Array(disk[Int(layout.hashes.lowerBound)...].prefix(4096)))
        #expect(superblock.uuid == RepartDisk.verityUUID)
        #expect(superblock.salt == RepartDisk.salt)
    }

    @Test func theDescriptionNamesTheRootHash() throws {
        let directory = try TemporaryDirectory()
        let (receipt, disk) = try make(RepartExporter.Options(), directory)
        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(directory.read("repart.json"))) as? [[String: Any]])
        #expect(json.count == 2)
        for part in json { #expect(part["roothash"] as? String == receipt.identity.hex) }
        #expect(json[0]["offset"] as? Int == 20480)
        #expect(disk.count % 4096 == 0)
        #expect(receipt.reference == receipt.identity.hex)
    }

    @Test func aDiskTooSmallIsRefusedWithTheSizeThatWouldDo() throws {
        let directory = try TemporaryDirectory()
        var options = RepartExporter.Options()
        options.diskSize = 90 << 20
        #expect(throws: Never.self) { try make(options, directory) }
        options.diskSize = 60 << 20
        #expect { try make(options, directory) } throws: { ($0 as? KapsuleError)?.id == "repart.too-small" }
    }

    @Test(arguments: [1, 11 << 20, 5 << 30, 7 << 30, 400 << 30] as [Int64])
    func theSmallestDiskHoldsItsDataAndNoSmallerOneDoes(_ count: Int64) throws {
        let disk = try RepartDisk.smallest(holding: count)
        #expect(disk.data.count >= count)
        let smaller = try? RepartDisk(size: disk.size - 4096)
        #expect((smaller?.data.count ?? 0) < count)
    }
}
