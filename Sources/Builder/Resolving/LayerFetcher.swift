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
        switch layer.mediaType {
        case MediaType.tar, "application/vnd.docker.image.rootfs.diff.tar": return try stored(image, layer)
        case MediaType.tarGzip, MediaType.dockerLayer: return try uncompressed(try stored(image, layer), layer)
        case let type where MediaType.isEncrypted(type): return try decrypted(image, layer)
        default: throw unreadable(image, layer)
        }
    }

    private func unreadable(_ image: Image, _ layer: Descriptor) -> KapsuleError {
        KapsuleError(
            .usage, id: "layer.media-type",
            "layer \(layer.digest.short) of \(image.origin.name) is a \(layer.mediaType), which cannot be read",
            remedy: "use an image whose layers are plain or gzipped tar archives")
    }

    /// Into an unnamed file, straight from where it is: the plaintext is gone with the build.
    private func decrypted(_ image: Image, _ layer: Descriptor) throws -> any ByteSource {
        let what = "layer \(layer.digest.short) of \(image.origin.name)"
        let plain = EncryptedType.plain(layer.mediaType) ?? ""
        let unlocked = try keyring.unlock(layer.annotations, what: what)
        try FreeSpace.require(layer.size, in: store.layout.path, for: what)
        return try progress.during("decrypt \(layer.digest.short) of \(image.origin.name)", total: layer.size) {
            activity in
            let file = try AtomicFile(in: store.layout.path, mode: 0o600)
            let source = try image.origin.blob(layer)
            switch plain {
            case MediaType.tar:
                var sink = LayerDecryptor(FileSink(file.file), unlocked, expecting: layer.artifact, what: what)
                try source.read(0..<source.size, into: &sink)
                try sink.finish()
            case MediaType.tarGzip, MediaType.dockerLayer:
                var sink = LayerDecryptor(
                    GunzipSink(FileSink(file.file), what: what), unlocked, expecting: layer.artifact, what: what)
                try source.read(0..<source.size, into: &sink)
                try sink.finish()
                try sink.next.finish()
            default: throw unreadable(image, layer)
            }
            activity.advance(by: Int(layer.size))
            return UnnamedFile(file: file, source: try FileSource(file.file))
        }
    }

    private func stored(_ image: Image, _ layer: Descriptor) throws -> any ByteSource {
        let source = try image.origin.blob(layer)
        // A layout on this machine is read in place.
        if case .file = source.backing { return source }
        if try store.layout.contains(layer.artifact) { return try store.layout.blob(layer.artifact) }
        let missing = max(0, layer.size - store.layout.allocatedForPartial(of: layer.digest))
        try FreeSpace.require(
            missing, in: store.layout.path, for: "layer \(layer.digest.short) of \(image.origin.name)")
        try progress.during("fetch \(layer.digest.short) of \(image.origin.name)", total: layer.size) { activity in
            try store.layout.fetch(
                layer.artifact, from: source, what: "layer \(layer.digest) of \(image.origin.name)", activity)
        }
        return try store.layout.blob(layer.artifact)
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
