internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// One encrypted disk being made.
///
/// The key follows from the root hash, so the image is first written in clear to its place on the disk, in a file that has
/// no name, and encrypted where it stands once its root hash is known. The source is read once, and no file in clear is
/// ever visible.
final class EMWPSession: ExportSession {
    /// Bytes that are encrypted at one time: with its workers' copies far below the memory bound.
    private static let stride: Int64 = 1 << 20

    let name: String
    private let masterKey: [UInt8]
    private let options: EMWPExporter.Options
    private let parameters: VerityParameters
    private let identity: ModelIdentity
    private let disk: EMWPDisk
    private let outputDirectory: String
    private let file: AtomicFile
    private let assembly: ImageAssembly
    private let queues: WorkQueues

    init(
        _ bundle: ModelBundle, masterKey: [UInt8], _ options: EMWPExporter.Options, in output: String
    ) throws {
        self.masterKey = masterKey
        self.options = options
        parameters = try VerityParameters(bundle, options.profile)
        identity = try ModelIdentity(bundle.identity)
        outputDirectory = "\(output)/\(identity.name)"
        name = "emwp → \(outputDirectory)/\(identity.revision).emwp"
        queues = WorkQueues(options.workers)
        disk = EMWPDisk(
            identity: bundle.identity, plaintextSize: VerityGeometry(behindDataOf: parameters.map.size).end)
        try Directories.make(outputDirectory)
        file = try AtomicFile(in: outputDirectory)
        try file.file.truncate(to: disk.size)
        assembly = try ImageAssembly(
            parameters.map, salt: parameters.salt, verityUUID: parameters.uuid,
            storage: FileStorage(file.file, at: disk.payloadOffset))
    }

    var size: Int64 { disk.size }
    var directory: String? { outputDirectory }
    /// The hash tree has its own.
    var needsFileDigests: Bool { false }
    func foresee(lane index: Int) -> Foresight { .reads }
    func open(lane index: Int) throws -> (any LaneSink)? {
        // Never cloned: what is there is encrypted where it stands.
        ImageLaneSink(assembly, queues, into: FileStorage(file.file, at: disk.payloadOffset), mayClone: false)
    }
    private func path(_ kind: String) -> String { "\(outputDirectory)/\(identity.revision).\(kind)" }

    func commit(_ files: [Artifact?]) throws -> ExportReceipt {
        let root = try assembly.finish()
        try encrypt(with: disk.cipher(masterKey: masterKey, root: root))
        let table = disk.table(root: root)
        try file.file.write(table.encodeHead().span, at: 0)
        try file.file.write(table.encodeTail().span, at: table.tailOffset)
        let reference = "\(root.hex)_\(parameters.map.size)_\(disk.partitionUUID)"
        let lock = try FileLock(path("emwp.lock"), .exclusive)
        try withExtendedLifetime(lock) {
            let record = CommitRecord(path("emwp.info"), reference)
            try record.prepare(replaces: options.replaces)
            try file.commit(as: path("emwp"), existing: .replace)
            try record.write()
        }
        return ExportReceipt(
            identity: root, reference: reference,
            outputs: [(path("emwp"), Artifact(digest: root, size: disk.size))], imagePath: path("emwp"))
    }

    /// Encrypts the image where it stands, on all queues.
    private func encrypt(with cipher: SectorCipher) throws {
        let storage = FileStorage(file.file, at: disk.payloadOffset)
        try queues.forEachRange(of: disk.plaintextSize, stride: Self.stride) { range in
            let plain = try storage.read(at: range.lowerBound, count: range.count)
            var encrypted = [UInt8](repeating: 0, count: plain.count)
            var room = encrypted.mutableSpan
            try cipher.encrypt(
                plain.span, into: &room, at: range.lowerBound / Int64(SectorCipher.sectorSize))
            try storage.write(encrypted.span, at: range.lowerBound)
        }
    }
}
