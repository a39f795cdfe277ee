internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import OCI
internal import Synchronization

/// Stores the gzipped layers of an image unpacked, and names them in new manifests.
final class LayerUnzip: Sendable {
    private let image: Image
    private let destination: any ImageDestination
    private let progress: any ProgressReporter
    /// By the digest of the gzipped layer.
    private let unzipped = Mutex<[Digest: Artifact]>([:])

    init(image: Image, destination: any ImageDestination, progress: any ProgressReporter) {
        self.image = image
        self.destination = destination
        self.progress = progress
    }

    static func isZipped(_ blob: Descriptor) -> Bool {
        [MediaType.tarGzip, MediaType.dockerLayer].contains(blob.mediaType)
    }

    func unzip(_ layer: Descriptor) throws {
        let what = "layer \(layer.digest) of \(image.origin.name)"
        try progress.during("unzip \(layer.digest.short)", total: layer.size) { activity in
            let source = try image.origin.blob(layer)
            let blob = try destination.openBlob(size: nil)
            do {
                var sink = UnzippedBlob(blob, of: layer.artifact, what: what, activity)
                try source.read(0..<source.size, into: &sink)
                let artifact = try sink.finish()
                unzipped.withLock { $0[layer.digest] = artifact }
            } catch {
                blob.abandon()
                throw error
            }
        }
    }

    /// The image with its layers renamed.
    func published() throws -> PublishedImage {
        let children = image.children.map { child in
            var manifest = child.manifest.content
            manifest.mediaType = MediaType.manifest
            manifest.layers = manifest.layers.map(renamed)
            let document = manifest.encoded()
            var descriptor = child.descriptor
            descriptor.mediaType = MediaType.manifest
            descriptor.digest = document.digest
            descriptor.size = document.size
            return (descriptor: descriptor, bytes: document.bytes)
        }
        guard MediaType.isIndex(image.root.mediaType) else {
            return PublishedImage(root: children[0].descriptor, bytes: children[0].bytes)
        }
        let annotations = try ImageIndex.decode(image.root.bytes, what: image.origin.name).content.annotations
        let index = ImageIndex(manifests: children.map(\.descriptor), annotations: annotations).encoded()
        return PublishedImage(
            root: Descriptor(mediaType: MediaType.index, digest: index.digest, size: index.size),
            bytes: index.bytes, children: children)
    }

    private func renamed(_ layer: Descriptor) -> Descriptor {
        guard let artifact = unzipped.withLock({ $0[layer.digest] }) else { return layer }
        return Descriptor(
            mediaType: MediaType.tar, digest: artifact.digest, size: artifact.size, annotations: layer.annotations)
    }
}

/// Takes a gzipped layer, which must be what was promised, and stores what is in it.
private final class UnzippedBlob: ByteSink {
    private var sink: VerifyingSink<GunzipSink<HashingBlob>>
    private let activity: Activity

    init(_ blob: any BlobSink, of zipped: Artifact, what: String, _ activity: Activity) {
        sink = VerifyingSink(GunzipSink(HashingBlob(blob: blob), what: what), expecting: zipped, what: what)
        self.activity = activity
    }

    func write(_ bytes: Span<UInt8>) throws {
        try sink.write(bytes)
        activity.advance(by: bytes.count)
    }

    func finish() throws -> Artifact {
        try sink.finish()
        try sink.next.finish()
        return try sink.next.next.finish()
    }
}
