internal import KapsuleCore
internal import KapsuleCrypto

/// An image whose documents were read and checked, and whose blobs are where they were.
public struct Image: Sendable {
    public let origin: any ImageOrigin
    /// What the name stands for: a manifest, or the index it was chosen from.
    public let root: RawManifest
    public let manifest: Document<Manifest>
    /// Every manifest of the index; the one manifest where there is no index.
    public let children: [Child]

    public struct Child: Sendable {
        public let descriptor: Descriptor
        public let manifest: Document<Manifest>
    }

    /// Reads what `origin` names.
    ///
    /// - Parameter platform: which manifest of an index; nil takes linux/amd64, or the only one.
    /// - Throws: `.usage` when an index has no manifest for the platform, saying which it has.
    public init(_ origin: any ImageOrigin, platform: Platform? = nil) throws {
        self.origin = origin
        root = try origin.root()
        guard MediaType.isIndex(root.mediaType) else {
            let manifest = try Self.decode(root, of: origin)
            self.manifest = manifest
            children = [Child(descriptor: root.descriptor, manifest: manifest)]
            return
        }
        let index = try ImageIndex.decode(root.bytes, what: "the index of \(origin.name)").content
        let candidates = index.manifests.filter { MediaType.isManifest($0.mediaType) }
        children = try candidates.map { descriptor in
            Child(descriptor: descriptor, manifest: try Self.decode(try origin.manifest(descriptor), of: origin))
        }
        manifest = try Self.choose(platform, from: children, of: origin).manifest
    }

    private static func decode(_ raw: RawManifest, of origin: any ImageOrigin) throws -> Document<Manifest> {
        guard MediaType.isManifest(raw.mediaType) else {
            throw KapsuleError(
                .unverified, id: "image.media-type",
                "\(origin.name) is a \(raw.mediaType), which is neither an image nor an index of images",
                remedy: "check the reference; artifacts of other kinds have no files to read")
        }
        return try Manifest.decode(raw.bytes, what: "the manifest of \(origin.name)")
    }

    private static func choose(
        _ platform: Platform?, from children: [Child], of origin: any ImageOrigin
    ) throws -> Child {
        // Attestations of buildx name their platform "unknown".
        let known = children.filter { $0.descriptor.platform?.os != "unknown" }
        // Where there are images beside artifacts, as in a universal image, the images are meant.
        let images = known.filter { $0.manifest.content.artifactType == nil }
        let real = images.isEmpty ? known : images
        let wanted = platform ?? Platform(os: "linux", architecture: "amd64")
        let fits = real.first { child in
            guard let has = child.descriptor.platform else { return false }
            return has.os == wanted.os && has.architecture == wanted.architecture
                && (wanted.variant == nil || has.variant == wanted.variant)
        }
        if let fits { return fits }
        if platform == nil, real.count == 1 { return real[0] }
        let offered = real.compactMap(\.descriptor.platform?.description).sorted().joined(separator: ", ")
        throw KapsuleError(
            .usage, id: "image.platform", "\(origin.name) has no image for \(wanted)",
            remedy: offered.isEmpty ? "the index names no platform at all" : "choose one of: \(offered)")
    }

    /// The one manifest that was chosen, without the index around it.
    public var withoutIndex: Image {
        let raw = RawManifest(
            bytes: manifest.bytes, mediaType: manifest.content.mediaType, digest: manifest.digest)
        return Image(
            origin: origin, root: raw, manifest: manifest,
            children: [Child(descriptor: raw.descriptor, manifest: manifest)])
    }

    private init(origin: any ImageOrigin, root: RawManifest, manifest: Document<Manifest>, children: [Child]) {
        self.origin = origin
        self.root = root
        self.manifest = manifest
        self.children = children
    }

    /// The config's bytes, verified.
    public func configBytes() throws -> [UInt8] { try configBytes(manifest.content.config) }

    /// The bytes of the config of one of the manifests, verified.
    public func configBytes(_ descriptor: Descriptor) throws -> [UInt8] {
        let what = "the config \(descriptor.digest) of \(origin.name)"
        let bytes = try origin.blob(descriptor).readAll(limit: DocumentLimit.config, what: what)
        guard Digest.of(bytes) == descriptor.digest else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(what) is not what the manifest promises: got \(Digest.of(bytes)), \(bytes.count) bytes",
                remedy: "the registry or the layout is damaged; push the image again")
        }
        return bytes
    }

    /// Every blob a copy needs, each once: the layers of all manifests, then the configs.
    public var orderedBlobs: [Descriptor] {
        var seen: Set<Digest> = []
        let manifests = children.map(\.manifest.content)
        return (manifests.flatMap(\.layers) + manifests.map(\.config)).filter { seen.insert($0.digest).inserted }
    }

    /// Every blob a copy needs, each once.
    public var blobs: [Descriptor] {
        var seen: Set<Digest> = []
        return children.flatMap(\.manifest.content.blobs).filter { seen.insert($0.digest).inserted }
    }
}
