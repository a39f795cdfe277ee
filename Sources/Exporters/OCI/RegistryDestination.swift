public import KapsuleCore
internal import KapsuleIO
public import OCI

/// A repository of a registry. Layers stream there from their source: nothing is kept on disk on the way.
public struct RegistryDestination: ImageDestination {
    private let client: RegistryClient
    private let tags: [String]
    private let spoolDirectory: String
    private let siblings: [String]

    /// - Parameters:
    ///   - tags: what the image is to be called; may be empty.
    ///   - siblings: repositories of the same registry that may have the same blobs, the likeliest first.
    ///   - spoolDirectory: for layers whose length is not known before they are compressed.
    public init(_ client: RegistryClient, tags: [String], siblings: [String] = [], spoolDirectory: String) {
        self.client = client
        // Each one costs a request for each blob that is not there.
        self.siblings = Array(siblings.filter { $0 != client.repository }.prefix(3))
        self.tags = tags
        self.spoolDirectory = spoolDirectory
    }

    public var name: String { "\(client.host)/\(client.repository)" + (tags.first.map { ":\($0)" } ?? "") }
    public var directory: String? { nil }

    public func hasBlobNearby(_ blob: Artifact) -> Bool? { nil }
    public func hasBlob(_ blob: Artifact) throws -> Bool {
        if try client.hasBlob(blob) { return true }
        return try siblings.contains { try client.mountBlob(blob.digest, from: $0) }
    }

    public func openBlob(size: Int64?, place: Int?, key: BlobKey?) throws -> any BlobSink {
        guard let size, client.takesStreams else {
            return SpooledBlob(client, try AtomicFile(in: spoolDirectory, mode: 0o600))
        }
        return StreamedBlob(try client.beginStreamedUpload(size: size, key: key?.digest.description))
    }

    public func putBlob(
        _ blob: Descriptor, from source: any ByteSource, mountFrom origin: Reference?, _ activity: Activity?
    ) throws {
        let mounts = (origin.flatMap { $0.host == client.host ? [$0.repository] : nil } ?? []) + siblings
        _ = try client.uploadBlob(blob, from: source, mountFrom: mounts, activity: activity)
    }

    public func publish(_ image: PublishedImage, replaces: Bool) throws {
        let tags = replaces ? tags : try tags(toBecome: image.root.digest)
        for child in image.children {
            try client.putManifest(
                child.bytes, mediaType: child.descriptor.mediaType, as: .digest(child.descriptor.digest))
        }
        // By digest first: a tag then moves in one act to something that is whole.
        try client.putManifest(image.bytes, mediaType: image.root.mediaType, as: .digest(image.root.digest))
        for tag in tags { try client.putManifest(image.bytes, mediaType: image.root.mediaType, as: .tag(tag)) }
    }

    /// The tags that have to be written. One that is right already is left alone: some registries let nobody write a tag
    /// twice.
    private func tags(toBecome digest: Digest) throws -> [String] {
        try tags.filter { tag in
            guard let present = try client.headManifest(.tag(tag)) else { return true }
            guard present.digest != digest else { return false }
            throw KapsuleError(
                .conflict, id: "registry.tag-exists",
                "\(client.host)/\(client.repository):\(tag) exists and is another image (\(present.digest))",
                remedy: "use another tag, or --force to replace it")
        }
    }

    public func reference(to manifest: Digest) -> String { "\(client.host)/\(client.repository)@\(manifest)" }
}

/// A blob that is compressed first, into an unnamed file, and sent when its length and digest are known: a registry
/// that has it is then sent nothing.
private final class SpooledBlob: BlobSink {
    private let client: RegistryClient
    private let spool: AtomicFile
    private var sink: FileSink

    init(_ client: RegistryClient, _ spool: AtomicFile) {
        self.client = client
        self.spool = spool
        sink = FileSink(spool.file)
    }

    func write(_ bytes: Span<UInt8>) throws { try sink.write(bytes) }

    func finish(_ digest: Digest) throws {
        let source = try FileSource(spool.file, digest: digest)
        let blob = Descriptor(mediaType: MediaType.tarGzip, digest: digest, size: source.size)
        try client.uploadBlob(blob, from: source)
    }

    func abandon() {}
}

/// A blob of known length, on its way in one request.
private final class StreamedBlob: BlobSink {
    private var upload: StreamedBlobUpload

    init(_ upload: StreamedBlobUpload) { self.upload = upload }

    func write(_ bytes: Span<UInt8>) throws { try upload.write(bytes) }
    func finish(_ digest: Digest) throws { try upload.finish(digest) }
    func abandon() { upload.abandon() }
}
