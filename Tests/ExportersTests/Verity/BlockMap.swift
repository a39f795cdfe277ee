import Exporters
import Formats
import Foundation
import KapsuleCore
import TestSupport
import Testing

/// What is in each block of a sound image, so that a test can damage a known thing.
struct BlockMap {
    let geometry: VerityGeometry
    /// Where the image begins in the file.
    let payloadOffset: Int64
    private let system: EROFS.Image

    init(_ sample: SealedSample) throws {
        let file = try SealedFile(opening: sample.path)
        let image = try SealedImage(file, sample.claim)
        geometry = image.geometry
        system = try ReadableImage(image).system
        if case .encryptedDisk(let table) = file.container {
            payloadOffset = table.partitions[0].range.lowerBound
        } else {
            payloadOffset = 0
        }
    }

    /// A byte to flip, from the start of the image, and what has to be said of it.
    func spot(inBlock block: Int64) -> (offset: Int64, says: String) {
        let start = block * 4096
        if start < system.size { return dataSpot(block) }
        if block == geometry.dataBlocks { return (start + 100, "the block that describes the tree") }
        if start == geometry.levels[1].offset { return (start + 5, "block 0 of hash tree level 1") }
        return (start + 5, "block \((start - geometry.levels[0].offset) / 4096) of hash tree level 0")
    }

    private func dataSpot(_ block: Int64) -> (offset: Int64, says: String) {
        let range = block * 4096..<(block + 1) * 4096
        let first = block == 0 ? "the superblock, " : ""
        let says = "block \(block) of the data (\(first)\(system.description(ofBlock: block)))"
        // Content, where there is some: metadata stays as it is then, and the names in it.
        let parts = system.files.flatMap { [$0.data, $0.tail].compactMap(\.self) }
        if let part = parts.first(where: { range.overlaps($0.offset..<$0.offset + $0.length) }) {
            return (max(range.lowerBound, part.offset), says)
        }
        return (range.lowerBound + 3000, "block \(block) of the data (")
    }
}

/// A disk with a data and a hash partition.
struct RepartSample {
    let directory: TemporaryDirectory
    let path: String
    let root: Digest
    /// Bytes to flip, and what has to be said of each.
    let spots: [(offset: Int64, says: String)]

    /// Nil without veritysetup.
    init?() throws {
        guard let veritysetup = try Tool.find("veritysetup") else { return nil }
        directory = try TemporaryDirectory()
        let disk = try RepartDisk(size: 80 << 20)
        let sample = try SealedSample(.privatemode)
        let size = try #require(sample.reference.hashOffset)
        let image = try Data(contentsOf: URL(fileURLWithPath: sample.path)).prefix(Int(size))
        let (data, hashes) = ("\(directory.path)/data", "\(directory.path)/hashes")
        try image.write(to: URL(fileURLWithPath: data))
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: data))
        try handle.truncate(atOffset: UInt64(disk.data.count))
        let salt = RepartDisk.salt.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let said = String(
            decoding: try veritysetup.run([
                "format", data, hashes, "--salt=\(salt)", "--uuid=\(RepartDisk.verityUUID)",
            ]), as: UTF8.self)
        let line = try #require(said.split(separator: "\n").first { $0.hasPrefix("Root hash") })
        root = try #require(Digest(hex: line.suffix(64)))
        path = "\(directory.path)/disk.raw"
        try Data(disk.table.encodeHead()).write(to: URL(fileURLWithPath: path))
        let whole = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try whole.truncate(atOffset: UInt64(disk.size))
        for (offset, bytes) in [
            (disk.data.lowerBound, image), (disk.hashes.lowerBound, try Data(contentsOf: URL(fileURLWithPath: hashes))),
            (disk.table.tailOffset, Data(disk.table.encodeTail())),
        ] {
            try whole.seek(toOffset: UInt64(offset))
            try whole.write(contentsOf: bytes)
        }
        try directory.write(
            "repart.json", "[{\"type\":\"x\",\"roothash\":\"\(root.hex)\"},{\"roothash\":\"\(root.hex)\"}]")
        spots = [
            (100, "partition table"), (1500, "partition table"), (18_000, "outside of the partitions"),
            (disk.data.upperBound - 1, "zeros behind the file system"),
            (disk.hashes.lowerBound + 200, "describes the tree"),
            (disk.hashes.lowerBound + 4100, "hash tree level"), (disk.hashes.upperBound - 1, "hash partition"),
            (disk.table.tailOffset + 9, "copy of the partition table"),
        ]
    }

    func flip(_ offset: Int64) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(offset))
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: [byte ^ 0x20])
    }
}
