internal import Formats
internal import KapsuleCore
internal import KapsuleIO

/// A finished image that has no name yet.
struct UnnamedImage {
    let file: AtomicFile
    let root: Digest
    /// Where the verity superblock is, and the file system ends.
    let hashOffset: Int64
    /// Bytes of the whole file.
    let size: Int64
    let parameters: VerityParameters

    /// `ROOTHASH_OFFSET_UUID`, as the consumers take it.
    var reference: String { "\(root.hex)_\(hashOffset)_\(parameters.uuid)" }
}

/// Where an image goes, and what is written beside it.
protocol VerityOutput: Sendable {
    /// As progress names it: `out/org/model/1.mpk`.
    var title: String { get }
    /// Holds the image in the end.
    var directory: String { get }
    /// Gives everything its name, the image's own description last.
    func publish(_ image: UnnamedImage) throws -> ExportReceipt
}

/// One image being made, in a file that is not called after it before it is whole.
final class VeritySession: ExportSession {
    let name: String
    private let bundle: ModelBundle
    private let parameters: VerityParameters
    private let output: any VerityOutput
    private let work: ImageWorkFile
    private let assembly: ImageAssembly
    private let workers: WorkQueues

    init(
        _ bundle: ModelBundle, _ parameters: VerityParameters, _ output: any VerityOutput,
        _ options: VerityExporter.Options
    ) throws {
        self.bundle = bundle
        self.parameters = parameters
        self.output = output
        workers = WorkQueues(options.workers * 2)
        name = "verity → \(output.title)"
        try Directories.make(output.directory)
        let geometry = VerityGeometry(behindDataOf: parameters.map.size)
        work = try ImageWorkFile(
            bundle, parameters.map, salt: parameters.salt, in: output.directory, size: geometry.end)
        assembly = try ImageAssembly(
            parameters.map, salt: parameters.salt, verityUUID: parameters.uuid,
            storage: FileStorage(work.file, direct: work.direct))
    }

    var size: Int64 { max(0, assembly.size - work.allocated) }
    var directory: String? { output.directory }
    /// The hash tree has its own.
    var needsFileDigests: Bool { false }
    func foresee(lane index: Int) -> Foresight { .reads }
    func salvaged(file index: Int) -> (any ByteSource)? { work.salvaged(index) }

    func open(lane index: Int) throws -> (any LaneSink)? {
        work.begin()
        return ImageLaneSink(assembly, workers, into: FileStorage(work.file), mayClone: true)
    }

    func commit(_ files: [Artifact?]) throws -> ExportReceipt {
        let image = UnnamedImage(
            file: work.atomic, root: try assembly.finish(), hashOffset: parameters.map.size, size: assembly.size,
            parameters: parameters)
        let receipt = try output.publish(image)
        work.clear()
        return receipt
    }
}

/// A file, or the part of one that begins at `base`.
struct FileStorage: ImageStorage {
    let file: OpenFile
    let base: Int64
    private let direct: DirectFile?

    /// - Parameter direct: writes to the file past the page cache.
    init(_ file: OpenFile, at base: Int64 = 0, direct: DirectFile? = nil) {
        self.file = file
        self.base = base
        self.direct = direct
    }

    func write(_ bytes: Span<UInt8>, at offset: Int64) throws {
        if let direct {
            try direct.write(bytes, at: base + offset)
        } else {
            try file.write(bytes, at: base + offset)
        }
    }

    func read(at offset: Int64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            var rest = [UInt8](repeating: 0, count: count - done)
            let got = try file.read(at: base + offset + Int64(done), into: &rest, limit: rest.count)
            guard got > 0 else {
                throw KapsuleError(.unavailable, id: "io.short-file", "\(file.path) ends before byte \(base + offset)")
            }
            bytes.replaceSubrange(done..<done + got, with: rest.prefix(got))
            done += got
        }
        return bytes
    }
}
