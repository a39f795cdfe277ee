internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// One two-partition disk being made.
final class RepartSession: ExportSession {
    /// Names in the output's directory.
    static let diskName = "disk.raw"
    static let descriptionName = "repart.json"

    let name: String
    private let options: RepartExporter.Options
    private let outputDirectory: String
    private let disk: RepartDisk
    private let work: ImageWorkFile
    private let assembly: ImageAssembly
    private let queues: WorkQueues

    init(_ bundle: ModelBundle, _ options: RepartExporter.Options, in output: String) throws {
        self.options = options
        outputDirectory = output
        name = "repart → \(output)/\(Self.diskName)"
        let parameters = try VerityParameters(
            bundle, options.profile, uuid: RepartDisk.fileSystemUUID, salt: RepartDisk.salt)
        disk = try options.diskSize.map(RepartDisk.init(size:)) ?? .smallest(holding: parameters.map.size)
        guard disk.data.count >= parameters.map.size else {
            throw KapsuleError(
                .usage, id: "repart.too-small",
                "the image has \(parameters.map.size) bytes, and a disk of \(disk.size) bytes has room for "
                    + "\(disk.data.count)",
                remedy: "give a disk of \(try RepartDisk.smallest(holding: parameters.map.size).size) bytes or more")
        }
        queues = WorkQueues(options.workers)
        try Directories.make(output)
        work = try ImageWorkFile(
            bundle, parameters.map, salt: parameters.salt, in: output, at: disk.data.lowerBound, size: disk.size)
        assembly = try ImageAssembly(
            parameters.map, salt: parameters.salt, verityUUID: RepartDisk.verityUUID,
            storage: FileStorage(work.file, at: disk.data.lowerBound, direct: work.direct), geometry: disk.geometry,
            hashes: FileStorage(work.file, at: disk.hashes.lowerBound))
    }

    var size: Int64 { max(0, assembly.map.size + disk.geometry.end - work.allocated) }
    var directory: String? { outputDirectory }
    /// The hash tree has its own.
    var needsFileDigests: Bool { false }
    func foresee(lane index: Int) -> Foresight { .reads }
    func salvaged(file index: Int) -> (any ByteSource)? { work.salvaged(index) }

    func open(lane index: Int) throws -> (any LaneSink)? {
        work.begin()
        return ImageLaneSink(
            assembly, queues, into: FileStorage(work.file, at: disk.data.lowerBound), mayClone: true)
    }

    func commit(_ files: [Artifact?]) throws -> ExportReceipt {
        let root = try assembly.finish()
        try work.file.write(disk.table.encodeHead().span, at: 0)
        try work.file.write(disk.table.encodeTail().span, at: disk.table.tailOffset)
        let path = "\(outputDirectory)/\(Self.diskName)"
        let description = description(root)
        try work.atomic.commit(as: path, existing: options.replaces ? .replace : .refuse)
        try AtomicFile.write(
            Array(description.utf8), to: "\(outputDirectory)/\(Self.descriptionName)", existing: .replace)
        work.clear()
        return ExportReceipt(
            identity: root, reference: root.hex,
            outputs: [
                (path, Artifact(digest: root, size: disk.size)),
                (
                    "\(outputDirectory)/\(Self.descriptionName)",
                    Artifact(digest: .of(description), size: Int64(description.utf8.count))
                ),
            ], imagePath: path)
    }

    /// As `systemd-repart --json=pretty` describes what it made. Consumers read `.[0].roothash`.
    private func description(_ root: Digest) -> String {
        let parts = zip(disk.table.partitions, ["00-root.conf", "01-root-verity.conf"]).enumerated().map {
            index, part in
            let (partition, definition) = part
            return JSON.members([
                "type": .string("linux-generic"), "label": .string(partition.name),
                "uuid": .string(partition.uuid.description), "partno": .int(Int64(index)), "file": .string(definition),
                "node": .string("\(Self.diskName)\(index + 1)"), "offset": .int(partition.range.lowerBound),
                "old_size": .int(0), "raw_size": .int(Int64(partition.range.count)), "old_padding": .int(0),
                "raw_padding": .int(0), "activity": .string("create"), "roothash": .string(root.hex),
            ])
        }
        return JSON.array(parts).pretty + "\n"
    }
}
