public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// Makes a plain directory: the model's files as vLLM and transformers load them, and the Modelfile beside them.
public struct DirectoryExporter: Exporter {
    /// Which files are taken.
    public enum Selection: Sendable {
        case all
        /// Checkpoints of PyTorch, and no weights in other formats, which loaders would prefer.
        case checkpoints
    }

    public var name: String { selection.name }
    private let selection: Selection
    private let path: String
    private let replaces: Bool
    private let progress: any ProgressReporter

    /// - Parameters:
    ///   - path: made where there is none.
    ///   - selection: `hf` or `pytorch`.
    ///   - replaces: whether a file that is there with other content gives way.
    ///   - progress: hears of files that are there already and are read to find out whether they are right.
    public init(
        to path: String, _ selection: Selection = .all, replaces: Bool, progress: any ProgressReporter
    ) {
        self.path = path
        self.selection = selection
        self.replaces = replaces
        self.progress = progress
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        let taken = try selection.files(of: bundle)
        let files = try bundle.files.enumerated().map { index, file -> PlacedFile? in
            guard taken.contains(index) else { return nil }
            try Self.check(file.path)
            return PlacedFile(path: file.path, mode: file.permissions ?? (file.isExecutable ? 0o755 : 0o644))
        }
        let modelfile = ModelfileBeside(
            format: name, path: path, bytes: bundle.modelfile, directoryModes: bundle.directoryPermissions)
        return try DirectorySession(bundle, files, in: path, replaces: replaces, progress, modelfile)
    }

    private static func check(_ path: BundlePath) throws {
        let isOurs = path.text.hasPrefix(AtomicFile.temporaryPrefix) || path.text == ImageFormat.modelfilePath
        guard isOurs else { return }
        throw KapsuleError(
            .usage, id: "directory.reserved", "'\(path)' cannot be a file of the model: kapsule keeps that name",
            remedy: "leave it out with EXCLUDE, or rename it")
    }
}

/// The Modelfile that makes the directory a context again, and the modes of its directories.
private struct ModelfileBeside: DirectoryClosing {
    let format: String
    let path: String
    let bytes: [UInt8]
    let directoryModes: [String: UInt32]

    var name: String { "\(format) → \(path)" }

    func prepare(_ files: DirectoryFiles) throws {
        try files.expect(ImageFormat.modelfilePath, bytes)
    }

    func close(_ files: DirectoryFiles, _ artifacts: [(path: String, artifact: Artifact)]) throws -> ExportReceipt {
        try files.put(ImageFormat.modelfilePath, bytes)
        // The deepest first: a directory that nobody may write to is closed when all of it is there.
        for (path, mode) in directoryModes.sorted(by: { $0.key > $1.key }) {
            try files.root().directory(path)?.setMode(mode)
        }
        let modelfile = Artifact(digest: Digest.of(bytes), size: Int64(bytes.count))
        let all = (artifacts + [(ImageFormat.modelfilePath, modelfile)]).sorted {
            $0.path.utf8.lexicographicallyPrecedes($1.path.utf8)
        }
        let identity = DirectoryIdentity.of(all)
        return ExportReceipt(
            identity: identity, reference: "\(path)@\(identity)", outputs: all.map { ($0.path, $0.artifact) },
            directoryPath: path)
    }
}

/// What names a directory by its content.
enum DirectoryIdentity {
    /// SHA-256 of what `sha256sum` prints for the files, in the order of their paths' bytes.
    static func of(_ files: [(path: String, artifact: Artifact)]) -> Digest {
        Digest.of(files.map { "\($0.artifact.digest.hex)  \($0.path)\n" }.joined())
    }
}
