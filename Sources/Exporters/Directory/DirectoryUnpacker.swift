import Formats
public import KapsuleCore
import KapsuleCrypto
public import KapsuleIO
import Synchronization

/// Writes the files of an image below a directory, layer by layer, bottom first.
///
/// Each file takes its size on disk once, and has its name only when its layer's digest was verified. Upper layers win
/// over lower ones; files that were in the target before are kept when they are equal, and otherwise a `.conflict`
/// unless `force` is set. Modes become 0644 and 0755, whatever the umask.
///
/// Used by one thread at a time.
public final class DirectoryUnpacker {
    private let root: RootDirectory
    private let options: UnpackOptions
    private let openFiles: Int
    private var tree = UnpackTree()
    private var report = UnpackReport()

    /// - Parameter target: made where there is none.
    public init(into target: String, options: UnpackOptions = UnpackOptions()) throws {
        var options = options
        while options.prefix.hasSuffix("/") { options.prefix.removeLast() }
        self.options = options
        try Directories.make(target)
        root = try RootDirectory(target)
        openFiles = options.openFiles ?? min(OpenFileLimit.raise() / 2, 4096)
        try Staging.removeAbandoned(in: root)
    }

    /// Asks for room before the first byte.
    ///
    /// - Parameter layers: those that will come. One that is compressed needs more than its size; a file that is there
    ///   already needs nothing, so a caller who knows of such leaves them out.
    /// - Throws: `.noSpace`.
    public func checkSpace(for layers: [Artifact]) throws {
        let needed = layers.reduce(0) { $0 + $1.size }
        let free = try Directories.freeBytes(at: root.path)
        guard needed <= free else {
            throw KapsuleError(
                .noSpace, id: "unpack.no-space",
                "the image needs \(ByteCount.text(needed)) and \(root.path) has \(ByteCount.text(free)) free",
                remedy: "free \(ByteCount.text(needed - free)) there, or write elsewhere with --output")
        }
    }

    /// The next layer, as a sink for its stored bytes.
    ///
    /// - Parameters:
    ///   - blob: what the stored bytes must turn out to be.
    ///   - what: names the layer in errors: `layer sha256:9f86… of ghcr.io/acme/m:7b`.
    public func layer(_ blob: Artifact, compression: LayerCompression, what: String) -> LayerUnpacker {
        LayerUnpacker(self, stage(what), blob, compression: compression)
    }

    /// The next layer, uncompressed, from far away: its large file, if it has one, stays for another run when this one
    /// is interrupted, and what an earlier run has left of it is not fetched.
    ///
    /// - Throws: `.unverified` when the bytes are not what was promised; nothing of them stays then.
    func resume(_ source: any ByteSource, _ blob: Artifact, what: String, _ activity: Activity) throws {
        let kept = try KeptFile(blob.digest, in: root)
        do {
            let stage = LayerStage(
                root, options, Staging(root, limit: openFiles), lower: tree, what: what, kept: kept)
            let sink = LayerUnpacker(self, stage, blob, compression: .none)
            var counted = CountedSink(sink, activity)
            let whole = try kept?.completing(source) ?? source
            try whole.read(0..<whole.size, into: &counted)
            try sink.finish()
        } catch let error as KapsuleError where ![.unavailable, .interrupted].contains(error.code) {
            kept?.remove()
            throw error
        }
    }

    /// Removes what interrupted runs have left in the target, when all that was wanted is there.
    func removeKept() { KeptFile.removeAll(in: root) }

    /// The next layer, whole, from a file such as a blob of a layout.
    ///
    /// An uncompressed layer is copied by the kernel, file by file, while another thread hashes it.
    public func unpack(_ source: FileSource, _ blob: Artifact, compression: LayerCompression, what: String) throws {
        switch compression {
        case .gzip:
            let layer = layer(blob, compression: .gzip, what: what)
            try layer.append(source)
            try layer.finish()
        case .none: try copy(source, blob, what: what)
        }
    }

    /// What was done in all.
    public func finish() -> UnpackReport { report }

    func stage(_ what: String) -> LayerStage {
        LayerStage(root, options, Staging(root, limit: openFiles), lower: tree, what: what)
    }

    private func copy(_ source: FileSource, _ blob: Artifact, what: String) throws {
        let stage = stage(what)
        let stop = Stop()
        _ = try concurrently {
            var sink = VerifyingSink(StoppableSink(stop: stop), expecting: blob, what: what)
            try source.read(0..<source.size, into: &sink)
            try sink.finish()
        } _: {
            do {
                for entry in try TarIndex.reading(source, what: what).entries {
                    try stage.begin(entry)
                    let content = SliceSource(source, entry.contentOffset..<entry.contentOffset + entry.size)
                    try stage.openFile?.append(content)
                    try stage.end()
                }
            } catch {
                stop.request()
                throw error
            }
        }
        // The copy and the hash are of the same bytes only if nobody wrote in between.
        try source.checkUnchanged()
        try commit(stage)
    }

    func commit(_ stage: LayerStage) throws {
        var commit = LayerCommit(root: root, stage: stage, force: options.force, tree: tree, report: report)
        defer { (tree, report) = (commit.tree, commit.report) }
        try commit.run()
    }
}

/// Tells a thread that has no task that its work is no longer wanted.
private final class Stop: Sendable {
    private let isRequested = Atomic<Bool>(false)

    func request() { isRequested.store(true, ordering: .relaxed) }

    func check() throws {
        if isRequested.load(ordering: .relaxed) { throw KapsuleError(.interrupted, id: "interrupted", "interrupted") }
    }
}

private struct StoppableSink: ByteSink {
    let stop: Stop

    func write(_ bytes: Span<UInt8>) throws { try stop.check() }
}
