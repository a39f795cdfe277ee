internal import Encryption
public import KapsuleCore
public import OCI
internal import Synchronization

/// Changes layers of an image on the way to its destination, and names them in new manifests.
final class ImageRewrite: Sendable {
    private let image: Image
    private let destination: any ImageDestination
    private let progress: any ProgressReporter
    /// By the digest of the layer as it was.
    private let changes: [Digest: LayerChange]
    private let renamed = Mutex<[Digest: Descriptor]>([:])

    /// Decides about every layer, before a byte is moved.
    ///
    /// - Throws: `.undecryptable` when there are keys, and none of them opens some layer.
    init(
        _ image: Image, to destination: any ImageDestination, unzips: Bool, keyring: Keyring?,
        recipients: RecipientSet?,
        progress: any ProgressReporter
    ) throws {
        self.image = image
        self.destination = destination
        self.progress = progress
        let diffIDs = try image.diffIDs()
        var changes: [Digest: LayerChange] = [:]
        for layer in image.children.flatMap(\.manifest.content.layers) where changes[layer.digest] == nil {
            var change = LayerChange()
            change.diffID = diffIDs[layer.digest]
            let plain = EncryptedType.plain(layer.mediaType)
            if plain != nil, let keyring {
                change.unlocked = try keyring.unlock(layer.annotations, what: image.naming(layer))
            }
            let isOpen = plain == nil || change.unlocked != nil
            change.unzips = unzips && isOpen && LayerType.isZipped(plain ?? layer.mediaType)
            // A layer that somebody else encrypted stays as it is: encrypting twice would make it unreadable.
            change.recipients = isOpen ? recipients : nil
            if !change.changesNothing { changes[layer.digest] = change }
        }
        self.changes = changes
        try recipients?.check()
    }

    var isNeeded: Bool { !changes.isEmpty }

    /// A blob of the image, as far as it is known what becomes of it.
    func foreseen(_ blob: Descriptor) -> ForeseenBlob {
        guard let change = changes[blob.digest] else { return ForeseenBlob(size: blob.size, digest: blob.digest) }
        return ForeseenBlob(size: change.unzips ? nil : blob.size, digest: plainTar(blob, change)?.digest)
    }

    /// Layers that change, each once.
    var layers: [Descriptor] { image.blobs.filter { changes[$0.digest] != nil } }

    /// - Parameter place: of the layer in what the destination was told to come.
    func run(_ layer: Descriptor, place: Int) throws {
        guard let change = changes[layer.digest] else { return }
        let verb = change.unlocked != nil ? "decrypt" : change.recipients != nil ? "encrypt" : "unzip"
        let title = layer.annotations[ImageFormat.Annotation.path] ?? layer.digest.short
        try progress.during("\(verb) \(title)", total: layer.size) { activity in
            if let there = try alreadyThere(layer, change) {
                renamed.withLock { $0[layer.digest] = there }
                activity.advance(by: Int(layer.size))
                return
            }
            let source = try image.origin.blob(layer)
            let blob = try destination.openBlob(size: change.unzips ? nil : layer.size, place: place, key: nil)
            let rewrite = LayerRewrite(layer: layer, change: change, what: image.naming(layer))
            let descriptor = try rewrite.run(from: source, into: blob, activity)
            renamed.withLock { $0[layer.digest] = descriptor }
        }
    }

    /// The decrypted layer, where a run before this one left it.
    private func alreadyThere(_ layer: Descriptor, _ change: LayerChange) throws -> Descriptor? {
        guard let plain = plainTar(layer, change), try destination.hasBlob(plain.artifact) else { return nil }
        return plain
    }

    /// What a layer that is only decrypted becomes, where the config says so.
    private func plainTar(_ layer: Descriptor, _ change: LayerChange) -> Descriptor? {
        guard change.unlocked != nil, change.recipients == nil, let diffID = change.diffID,
            let plain = EncryptedType.plain(layer.mediaType), LayerType.isPlainTar(plain)
        else { return nil }
        return Descriptor(
            mediaType: plain, digest: diffID, size: layer.size,
            annotations: LayerAnnotations.removed(from: layer.annotations))
    }

    /// The image with its layers renamed. Its configs stay: they speak of the plaintext.
    func published() throws -> PublishedImage {
        let renamed = renamed.withLock { $0 }
        return try image.publishing { layer in
            guard let new = renamed[layer.digest] else { return layer }
            return Self.renaming(layer, new)
        }
    }

    /// A layer under the digest of what it has become. Two manifests may name one blob by types and annotations of their
    /// own, as a universal image's do.
    private static func renaming(_ layer: Descriptor, _ new: Descriptor) -> Descriptor {
        var descriptor = layer
        let kept = LayerAnnotations.removed(from: layer.annotations)
        let about = new.annotations.filter { $0.key.hasPrefix(LayerAnnotations.prefix) }
        descriptor.digest = new.digest
        descriptor.size = new.size
        descriptor.annotations = kept.merging(about) { $1 }
        let plain = EncryptedType.plain(layer.mediaType) ?? layer.mediaType
        let newPlain = EncryptedType.plain(new.mediaType)
        let isUnzipped = LayerType.isZipped(plain) && (newPlain ?? new.mediaType) == MediaType.tar
        let type = isUnzipped ? LayerType.unzipped(plain) : plain
        descriptor.mediaType = newPlain == nil ? type : EncryptedType.of(LayerType.oci(type))
        return descriptor
    }
}

extension Image {
    /// A layer, for errors.
    func naming(_ layer: Descriptor) -> String { "layer \(layer.digest) of \(origin.name)" }

    /// The image with other annotations on some of its layers, by the layers' digests. No blob changes.
    public func replacingAnnotations(_ annotations: [Digest: [String: String]]) throws -> PublishedImage {
        try publishing { layer in
            var layer = layer
            layer.annotations = annotations[layer.digest] ?? layer.annotations
            return layer
        }
    }

    /// The image with other layers, in manifests that name them. Encrypted layers are OCI's alone, and so are these.
    func publishing(_ change: (Descriptor) -> Descriptor) throws -> PublishedImage {
        let children = children.map { child in
            var manifest = child.manifest.content
            manifest.mediaType = MediaType.manifest
            manifest.layers = manifest.layers.map(change)
            if manifest.config.mediaType == MediaType.dockerConfig { manifest.config.mediaType = MediaType.config }
            let document = manifest.encoded()
            var descriptor = child.descriptor
            descriptor.mediaType = MediaType.manifest
            descriptor.digest = document.digest
            descriptor.size = document.size
            return (descriptor: descriptor, bytes: document.bytes)
        }
        guard MediaType.isIndex(root.mediaType) else {
            return PublishedImage(root: children[0].descriptor, bytes: children[0].bytes)
        }
        let annotations = try ImageIndex.decode(root.bytes, what: origin.name).content.annotations
        let index = ImageIndex(manifests: children.map(\.descriptor), annotations: annotations).encoded()
        return PublishedImage(
            root: Descriptor(mediaType: MediaType.index, digest: index.digest, size: index.size),
            bytes: index.bytes, children: children)
    }

    private func diffIDs(_ manifest: Manifest) throws -> [Digest] {
        let what = "the config of \(origin.name)"
        switch manifest.config.mediaType {
        case MediaType.config, MediaType.dockerConfig:
            return try ImageConfig.decode(try configBytes(manifest.config), what: what).content.diffIDs
        case ModelPackType.config: return try ModelPackConfig.diffIDs(try configBytes(manifest.config), what: what)
        default: return []
        }
    }

    /// What the configs promise of the layers' uncompressed plaintext, by the layers' digests. Configs of other kinds, and
    /// those that list another number of layers, promise nothing.
    func diffIDs() throws -> [Digest: Digest] {
        var all: [Digest: Digest] = [:]
        for child in children {
            let manifest = child.manifest.content
            guard manifest.layers.contains(where: { EncryptedType.plain($0.mediaType) != nil }) else { continue }
            let promised = try diffIDs(manifest)
            guard promised.count == manifest.layers.count else { continue }
            for (layer, diffID) in zip(manifest.layers, promised) { all[layer.digest] = diffID }
        }
        return all
    }
}
