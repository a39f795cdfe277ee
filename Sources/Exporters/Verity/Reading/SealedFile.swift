public import Formats
internal import KapsuleCore
internal import KapsuleCrypto
public import KapsuleIO

/// A file that holds a file system with its hash tree, opened and told from its kind. Nothing in it is believed yet.
public struct SealedFile: Sendable {
    public enum Container: Sendable {
        /// The file system, and the tree behind it.
        case image
        /// A disk with one encrypted partition that holds both.
        case encryptedDisk(PartitionTable)
        /// A disk with a partition for each.
        case repartDisk(PartitionTable)
    }

    public let path: String
    public let source: FileSource
    public let container: Container
    /// As found beside it.
    public let sideFile: SideFile?

    /// - Throws: `.unverified` for a disk whose partition table is damaged, or is neither of those known here.
    public init(opening path: String) throws {
        self.path = path
        source = try FileSource(path: path)
        container = try Self.container(of: source, path)
        sideFile = try SideFile.find(besides: path)
    }

    /// The last part of the path.
    public var name: String { Paths.name(of: path) }

    private static func container(of source: FileSource, _ path: String) throws -> Container {
        var sink = MemorySink()
        try source.read(0..<min(source.size, Int64(PartitionTable.headSize)), into: &sink)
        guard path.hasSuffix(".emwp") || isDisk(sink.bytes) else { return .image }
        let table = try doing("reading \(path)") { try PartitionTable(decodingHead: sink.bytes) }
        guard table.sectorCount * Int64(PartitionTable.sectorSize) == source.size else {
            throw KapsuleError(
                .unverified, id: "gpt.other-size",
                "\(path) has \(source.size) bytes, and its partition table is of a disk of "
                    + "\(table.sectorCount * Int64(PartitionTable.sectorSize))",
                remedy: "fetch or build it again")
        }
        switch (table.partitions.count, table.partitions.first?.name) {
        case (1, "emwp"): return .encryptedDisk(table)
        case (2, _): return .repartDisk(table)
        default:
            throw KapsuleError(
                .unverified, id: "gpt.unknown",
                "\(path) is a disk with \(table.partitions.count) partitions, and neither an encrypted disk nor one of "
                    + "data and hashes",
                remedy: "name a disk that 'kapsule build' or systemd-repart made")
        }
    }

    /// Whether a disk begins so: its partition table, or what stands in front of it to protect it.
    private static func isDisk(_ head: [UInt8]) -> Bool {
        guard head.count >= 1024 else { return false }
        let isProtected = head[510] == 0x55 && head[511] == 0xAA && head[450] == 0xEE
        return isProtected || head[512..<520].elementsEqual("EFI PART".utf8)
    }

    // MARK: What the file says of itself

    /// Whether the names used for it are privatemode's: the root hash, or a description that has it.
    var isPrivatemode: Bool { sideFile?.kind == .privatemode || (sideFile == nil && Digest(hex: name) != nil) }
}
