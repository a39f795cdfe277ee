/// What was made: its name by content, and its length in bytes.
public struct Artifact: Sendable, Hashable {
    public let digest: Digest
    public let size: Int64

    public init(digest: Digest, size: Int64) {
        self.digest = digest
        self.size = size
    }
}

/// Makes one kind of output.
public protocol Exporter: Sendable {
    /// As `--format` names it.
    var name: String { get }
    /// Fixes the layout and reserves the space, from paths and sizes alone. Nothing is visible yet.
    ///
    /// - Throws: `KapsuleError` for a bundle this format cannot hold, before a byte is read.
    func begin(_ bundle: ModelBundle) throws -> any ExportSession
}

/// One output being made. Sinks for different lanes may be used at the same time.
///
/// A session that is let go without `commit` leaves nothing visible: its files are unnamed temporaries, its uploads
/// are abandoned.
public protocol ExportSession: Sendable {
    /// As the plan and errors name it: `oci → localhost:5000/m:1`.
    var name: String { get }
    /// Bytes this output will still take at its destination, for the check of free space.
    var size: Int64 { get }
    /// A directory on the file system that will hold the output; nil where it is not ours to check.
    var directory: String? { get }
    /// Whether `commit` wants the digests of files that no source vouches for.
    var needsFileDigests: Bool { get }
    /// What is known, without asking the network, of lane `index`.
    func foresee(lane index: Int) -> Foresight
    /// The first bytes of file `index` of the bundle, where an interrupted run left them at the destination. They are
    /// read in place of the source's own, and hashed like them; the sink then gets bytes that it has already.
    func salvaged(file index: Int) -> (any ByteSource)?
    /// Where the bytes of lane `index` of the bundle go; nil when the destination has them already.
    ///
    /// Called again for the same lane when an attempt failed with `.unavailable`: the bytes are offered anew.
    /// Network round trips are allowed: it runs on a thread that may block.
    func open(lane index: Int) throws -> (any LaneSink)?
    /// Writes what depends on digests and makes the output visible, whole, in one last act.
    ///
    /// Equal bundles and options give equal bytes, unless the format holds a fresh key.
    ///
    /// - Parameter files: for each file of the bundle its digest and size, nil where no session read it.
    func commit(_ files: [Artifact?]) throws -> ExportReceipt
}

extension ExportSession {
    public var needsFileDigests: Bool { true }
    public func salvaged(file index: Int) -> (any ByteSource)? { nil }
}

/// What a plan can say of a lane before anything runs.
public enum Foresight: Sendable, Hashable {
    /// The bytes will be read.
    case reads
    /// The result is known from an earlier run; the destination is asked for it first.
    case known(Artifact)
    /// The destination has it already.
    case present(Artifact)
}

/// One lane of one output. For each of the lane's files, in order: `beginFile`, the bytes, `endFile`; then `finish`.
public protocol LaneSink: AnyObject, ByteSink {
    /// Whether `endFile` gives the digest of the file, worked out on the way with its own hashing.
    var digestsFiles: Bool { get }
    func beginFile(_ index: Int) throws
    /// - Returns: SHA-256 of the file's bytes where `digestsFiles`, else nil.
    func endFile(_ index: Int) throws -> Digest?
    /// All bytes have come.
    func finish() throws
    /// Gives up; nothing of the lane stays behind. Called instead of `finish`.
    func abandon()
}

/// A lane whose output can place the bytes of a file in any order, and so reads a large one itself, on all cores.
public protocol RangeLaneSink: LaneSink {
    /// Takes all of the file that was begun, between `beginFile` and `endFile`, in place of `write`.
    ///
    /// - Parameter activity: advanced by what was read.
    func take(_ source: any ByteSource, _ activity: Activity) throws
}

/// What an output turned out to be.
public struct ExportReceipt: Sendable {
    /// What to pin: a manifest digest, a verity root hash.
    public let identity: Digest
    /// What stdout gets: a reference that names the output for ever.
    public let reference: String
    /// The parts, in order: layers, configs, images.
    public let outputs: [(name: String, artifact: Artifact)]
    /// The image or the disk, where the output is one file.
    public let imagePath: String?
    /// The directory, where the output is plain files: `outputs` are then paths in it.
    public let directoryPath: String?
    /// The directory that Ollama keeps models in, where the output is a model there.
    public let ollamaStore: String?

    public init(
        identity: Digest, reference: String, outputs: [(name: String, artifact: Artifact)], imagePath: String? = nil,
        directoryPath: String? = nil, ollamaStore: String? = nil
    ) {
        self.ollamaStore = ollamaStore
        self.identity = identity
        self.reference = reference
        self.outputs = outputs
        self.imagePath = imagePath
        self.directoryPath = directoryPath
    }
}
