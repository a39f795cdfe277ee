public import Encryption
internal import Formats
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
public import OCI
public import Store

/// Brings the layers of an image in FROM to where any range of them can be read: the local store.
public struct LayerFetcher: Sendable {
    private let store: ImageStore
    private let keyring: Keyring
    private let progress: any ProgressReporter

    /// - Parameter keyring: for layers that are encrypted; empty where there are no keys.
    public init(store: ImageStore, keyring: Keyring = Keyring(), progress: any ProgressReporter) {
        self.store = store
        self.keyring = keyring
        self.progress = progress
    }

    /// - Returns: the layer's tar, verified.
    /// - Throws: `.undecryptable` for an encrypted layer, `.usage` for a compression that cannot be read.
    public func fetch(_ image: Image, _ layer: Descriptor) throws -> any ByteSource {
        let isGzipped = try isGzipped(image, layer)
        if MediaType.isEncrypted(layer.mediaType) { return try decrypted(image, layer, isGzipped) }
        let source = try stored(image, layer)
        return isGzipped ? try uncompressed(source, layer) : source
    }

    /// Of what is inside an encrypted layer.
    private func isGzipped(_ image: Image, _ layer: Descriptor) throws -> Bool {
        switch MediaType.plain(layer.mediaType) {
        case MediaType.tar, "application/vnd.docker.image.rootfs.diff.tar": return false
        case MediaType.tarGzip, MediaType.dockerLayer: return true
        case let type:
            if case .image = ModelArtifact(image.manifest.content) { throw unreadable(image, layer) }
            return type.hasSuffix("+gzip") || type.hasSuffix(".gzip")
        }
    }

    private func unreadable(_ image: Image, _ layer: Descriptor) -> KapsuleError {
        KapsuleError(
            .usage, id: "layer.media-type",
            "layer \(layer.digest.short) of \(image.origin.name) is a \(layer.mediaType), which cannot be read",
            remedy: "use an image whose layers are plain or gzipped tar archives")
    }

    /// Into an unnamed file, straight from where it is: the plaintext is gone with the build.
    private func decrypted(_ image: Image, _ layer: Descriptor, _ isGzipped: Bool) throws -> any ByteSource {
        let what = "layer \(layer.digest.short) of \(image.origin.name)"
        let unlocked = try keyring.unlock(layer.annotations, what: what)
        try FreeSpace.require(layer.size, in: store.layout.path, for: what)
        return try progress.during("decrypt \(layer.digest.short) of \(image.origin.name)", total: layer.size) {
            activity in
            let file = try AtomicFile(in: store.layout.path, mode: 0o600)
            let source = try image.origin.blob(layer)
            if !isGzipped {
                var sink = LayerDecryptor(FileSink(file.file), unlocked, expecting: layer.artifact, what: what)
                try source.read(0..<source.size, into: &sink)
                try sink.finish()
            } else {
                var sink = LayerDecryptor(
                    GunzipSink(FileSink(file.file), what: what), unlocked, expecting: layer.artifact, what: what)
                try source.read(0..<source.size, into: &sink)
                try sink.finish()
                try sink.next.finish()
            }
            activity.advance(by: Int(layer.size))
            return UnnamedFile(file: file, source: try FileSource(file.file))
        }
    }

    private func stored(_ image: Image, _ layer: Descriptor) throws -> any ByteSource {
        let source = try image.origin.blob(layer)
        if let kept = try kept(layer) { return kept }
        // A layout on this machine is read in place.
        if case .file = source.backing { return try checked(source, image, layer) }
        let missing = max(0, layer.size - store.layout.allocatedForPartial(of: layer.digest))
        try FreeSpace.require(
            missing, in: store.layout.path, for: "layer \(layer.digest.short) of \(image.origin.name)")
        try progress.during("fetch \(layer.digest.short) of \(image.origin.name)", total: layer.size) { activity in
            try store.layout.fetch(
                layer.artifact, from: source, what: "layer \(layer.digest) of \(image.origin.name)", activity)
        }
        return KnownSource(try store.layout.blob(layer.artifact), digest: layer.digest, isWatched: true)
    }

    /// What the store has was hashed when it came, and nobody may write to it.
    private func kept(_ layer: Descriptor) throws -> (any ByteSource)? {
        guard try store.layout.contains(layer.artifact) else { return nil }
        return KnownSource(try store.layout.blob(layer.artifact), digest: layer.digest, isWatched: true)
    }

    /// Layers of which it is known what their only file hashes to are checked with it, on its way; others now.
    private func checked(_ source: any ByteSource, _ image: Image, _ layer: Descriptor) throws -> any ByteSource {
        let what = "layer \(layer.digest) of \(image.origin.name)"
        guard source.size == layer.size else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(what) has \(source.size) bytes, and its manifest promises \(layer.size)",
                remedy: "make or copy the image again")
        }
        if layer.size >= LanePolicy.largeFrom, LayerPromise(layer) != nil { return source }
        try progress.during("check \(layer.digest.short) of \(image.origin.name)", total: layer.size) { activity in
            var sink = VerifyingSink(CountedSink(CountingSink(), activity), expecting: layer.artifact, what: what)
            try source.read(0..<source.size, into: &sink)
            try sink.finish()
        }
        return source
    }

    /// Into an unnamed file, gone with the build.
    private func uncompressed(_ source: any ByteSource, _ layer: Descriptor) throws -> any ByteSource {
        let file = try AtomicFile(in: store.layout.path, mode: 0o600)
        var gunzip = GunzipSink(FileSink(file.file), what: "layer \(layer.digest)")
        try source.read(0..<source.size, into: &gunzip)
        try gunzip.finish()
        return UnnamedFile(file: file, source: try FileSource(file.file))
    }
}

/// A temporary file that lives as long as somebody reads it.
struct UnnamedFile: ByteSource {
    let file: AtomicFile
    let source: FileSource

    var size: Int64 { source.size }
    var backing: ByteBacking { source.backing }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try source.read(range, into: &sink)
    }
}
