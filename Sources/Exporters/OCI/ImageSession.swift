internal import Encryption
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import OCI
internal import Synchronization

/// One image being made.
final class ImageSession: ExportSession {
    let name: String
    private let bundle: ModelBundle
    private let destination: any ImageDestination
    private let options: ImageExporter.Options
    private let layers: [LayerPlan]
    /// What is known of the files before anything is read.
    private let knownFiles: [Artifact?]
    private let finished = Mutex<[Int: FinishedLayer]>([:])

    /// A layer whose blob is at the destination.
    struct FinishedLayer: Sendable {
        let stored: StoredLayer
        /// Digest of the uncompressed tar.
        let diffID: Digest

        var blob: Artifact { stored.blob }
    }

    init(_ bundle: ModelBundle, to destination: any ImageDestination, _ options: ImageExporter.Options) {
        self.bundle = bundle
        self.destination = destination
        self.options = options
        let kind = options.isUniversal ? "universal" : "oci"
        name = "\(options.encryption == nil ? kind : "encrypted \(kind)") → \(destination.name)"
        layers = bundle.lanes.indices.map { index in
            LayerPlan(
                lane: bundle.lanes[index], of: bundle, directories: index == 0 ? Self.directories(of: bundle) : [])
        }
        knownFiles = bundle.files.map(\.known)
        destination.foresee(foreseen)
    }

    /// The layers of the base, then those of the lanes, as in the manifest.
    private var foreseen: [ForeseenBlob] {
        let isPlain = options.compression == .none
        let base = (options.base?.manifest.layers ?? []).map { layer in
            let isKept = options.encryption == nil || EncryptedType.plain(layer.mediaType) != nil
            return ForeseenBlob(size: layer.size, digest: isKept ? layer.digest : nil)
        }
        return base
            + layers.indices.map { index in
                ForeseenBlob(size: isPlain ? layers[index].tar.size : nil, digest: recall(index)?.blob.digest)
            }
    }

    private var baseLayerCount: Int { options.base?.manifest.layers.count ?? 0 }

    /// Every directory of the image, parents first. They are in the first layer, once: user 1010 must get through.
    private static func directories(of bundle: ModelBundle) -> [String] {
        let below = Set(bundle.files.flatMap(\.path.ancestors)).map { "\(ImageFormat.root)/\($0)" }
        return [ImageFormat.root] + below.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    // MARK: Lanes

    var directory: String? { destination.directory }

    var size: Int64 {
        guard destination.directory != nil else { return 0 }
        return layers.indices.reduce(0) { sum, index in
            if case .present = foresee(lane: index) { return sum }
            return sum + max(0, layers[index].tar.size - (key(of: index).map(destination.allocated) ?? 0))
        }
    }

    func foresee(lane index: Int) -> Foresight {
        guard let blob = recall(index)?.blob else { return .reads }
        switch destination.hasBlobNearby(blob) {
        case true?: return .present(blob)
        case false?: return .reads
        case nil: return .known(blob)
        }
    }

    func open(lane index: Int) throws -> (any LaneSink)? {
        if let known = recall(index), try destination.hasBlob(known.blob) {
            finished.withLock { $0[index] = known }
            return nil
        }
        let plan = layers[index]
        let isPlain = options.compression == .none
        let blob = try destination.openBlob(
            size: isPlain ? plan.tar.size : nil, place: baseLayerCount + index,
            key: key(of: index))
        return TarLaneSink(plan, into: output(to: blob)) { [self] layer in
            finished.withLock { $0[index] = layer }
            // At once: a run that is killed before its commit has not to move this again.
            remember(index, layer, knownFiles)
        }
    }

    /// What stands for a layer that is not there yet; nil where its bytes are others each time, or not those of its tar.
    private func key(of index: Int) -> BlobKey? {
        guard options.compression == .none, options.encryption == nil else { return nil }
        return BlobKey(layers[index].outline(of: bundle), of: layers[index].files.map { bundle.files[$0] })
    }

    func salvaged(file index: Int) -> (any ByteSource)? {
        guard let lane = layers.firstIndex(where: { $0.files.contains(index) }), let key = key(of: lane),
            let place = layers[lane].files.firstIndex(of: index)
        else { return nil }
        let slot = layers[lane].tar.slots[layers[lane].directoryCount + place]
        return destination.leftover(of: key)?.beginning(of: slot.contentOffset..<slot.contentOffset + slot.size)
    }

    private func output(to blob: any BlobSink) -> any LayerOutput {
        let gzips = options.compression == .gzip
        if options.encryption != nil { return EncryptedLayer(blob, gzips: gzips) }
        return gzips ? GzipLayer(blob) : PlainLayer(blob)
    }

    // MARK: Commit

    func commit(_ files: [Artifact?]) throws -> ExportReceipt {
        let made = try layers.indices.map { index in
            guard let layer = finished.withLock({ $0[index] }) else {
                throw KapsuleError(.defect, id: "oci.layer-missing", "layer \(index) of \(name) was never written")
            }
            return try describe(layer, layers[index], files)
        }
        remember(files)
        let all = made + [try putModelfile()]
        let image = try publishable(try copyBase(), all)
        try destination.publish(image, replaces: options.replaces)
        return ExportReceipt(
            identity: image.root.digest, reference: destination.reference(to: image.root.digest),
            outputs: all.map { ($0.title, $0.descriptor.artifact) })
    }

    private func describe(
        _ layer: FinishedLayer, _ plan: LayerPlan, _ files: [Artifact?]
    ) throws -> DescribedLayer {
        var descriptor = Descriptor(
            mediaType: layerType, digest: layer.blob.digest, size: layer.blob.size,
            annotations: annotations(for: plan, files))
        if let encryption = options.encryption {
            let recipients = try encryption.recipients(of: plan.files.map { bundle.files[$0].path })
            descriptor = try EncryptedDescriptor.of(
                descriptor, layer.stored, for: recipients, plain: options.compression == .none ? layer.diffID : nil)
        }
        return DescribedLayer(
            title: plan.title, descriptor: descriptor, diffID: layer.diffID, createdBy: plan.createdBy)
    }

    private var layerType: String { options.compression == .gzip ? MediaType.tarGzip : MediaType.tar }

    private func annotations(for plan: LayerPlan, _ files: [Artifact?]) -> [String: String] {
        let known = plan.files.compactMap { index in files[index].map { (path: bundle.files[index].path, file: $0) } }
        guard known.count == plan.files.count else { return [:] }
        if known.count == 1 {
            let whole = bundle.files[plan.files[0]].part.map(Self.annotations) ?? [:]
            return Self.annotations(of: known[0].path.text, known[0].file).merging(whole) { $1 }
        }
        guard known.count <= ImageFormat.mostListedFiles else { return [:] }
        let list = JSON.object(known.map { JSON.Member($0.path.text, .string($0.file.digest.hex)) })
        return [ImageFormat.Annotation.files: list.compact]
    }

    private static func annotations(of part: ModelBundle.Part) -> [String: String] {
        [
            LayerPart.Annotation.whole: part.path.text, LayerPart.Annotation.number: "\(part.number)/\(part.count)",
            LayerPart.Annotation.sha256: part.whole.digest.hex, LayerPart.Annotation.size: String(part.whole.size),
        ]
    }

    private static func annotations(of path: String, _ file: Artifact) -> [String: String] {
        [
            ImageFormat.Annotation.path: path, ImageFormat.Annotation.sha256: file.digest.hex,
            ImageFormat.Annotation.size: String(file.size),
        ]
    }

    /// The Modelfile is in a layer of its own, the last: a changed parameter moves a few kilobytes.
    private func putModelfile() throws -> DescribedLayer {
        let text = MemorySource(bundle.modelfile, digest: Digest.of(bundle.modelfile))
        let tar = TarLayout([.file("\(ImageFormat.root)/\(ImageFormat.modelfilePath)", size: text.size)])
        var plain = MemorySink()
        try plain.append(tar.archive(of: [text]))
        var stored = options.compression == .gzip ? try Self.gzipped(plain.bytes) : plain.bytes
        var descriptor = Descriptor(
            mediaType: layerType, digest: Digest.of(stored), size: Int64(stored.count),
            annotations: Self.annotations(
                of: ImageFormat.modelfilePath, Artifact(digest: Digest.of(bundle.modelfile), size: text.size)))
        if let encryption = options.encryption {
            let recipients = encryption.commonRecipients(try? BundlePath(validating: ImageFormat.modelfilePath))
            (descriptor, stored) = try EncryptedDescriptor.encrypting(stored, descriptor, for: recipients)
        }
        try destination.putBlob(descriptor, from: MemorySource(stored, digest: descriptor.digest), mountFrom: nil, nil)
        return DescribedLayer(
            title: ImageFormat.modelfilePath, descriptor: descriptor, diffID: Digest.of(plain.bytes),
            createdBy: "kapsule: copy Modelfile to /\(ImageFormat.root)/")
    }

    private static func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
        var gzip = GzipSink(MemorySink())
        try gzip.write(bytes.span)
        try gzip.finish()
        return gzip.next.bytes
    }

    /// - Returns: the base's layers as they are now. Where the model is encrypted they are as well: one layer in
    ///   plaintext, and the image could not be told from one whose encryption failed.
    private func copyBase() throws -> [Descriptor] {
        guard let base = options.base else { return [] }
        return try base.manifest.layers.enumerated().map { place, layer in
            if let encryption = options.encryption, EncryptedType.plain(layer.mediaType) == nil {
                let change = LayerChange(recipients: encryption.commonRecipients())
                let rewrite = LayerRewrite(layer: layer, change: change, what: "layer \(layer.digest) of the base")
                return try rewrite.run(
                    from: try base.blob(layer),
                    into: try destination.openBlob(size: layer.size, place: place, key: nil),
                    Activity("base", total: nil))
            }
            try destination.putBlob(layer, from: try base.blob(layer), mountFrom: base.origin, nil)
            return layer
        }
    }

    /// The manifest, or the index over one manifest a platform.
    private func publishable(_ base: [Descriptor], _ layers: [DescribedLayer]) throws -> PublishedImage {
        var children = try options.platforms.map { try manifest(of: base, layers, for: $0) }
        if options.isUniversal { children.append(try modelPack(layers)) }
        if children.count == 1 { return PublishedImage(root: children[0].descriptor, bytes: children[0].bytes) }
        let index = ImageIndex(
            manifests: children.map(\.descriptor), annotations: ImageWords.annotations(of: bundle)
        ).encoded()
        return PublishedImage(
            root: Descriptor(mediaType: MediaType.index, digest: index.digest, size: index.size),
            bytes: index.bytes, children: children)
    }

    private func manifest(
        of base: [Descriptor], _ layers: [DescribedLayer], for platform: Platform
    ) throws -> (descriptor: Descriptor, bytes: [UInt8]) {
        let config = ImageWords.config(of: bundle, layers, platform: platform, options)
        let configBlob = Descriptor(mediaType: MediaType.config, digest: Digest.of(config), size: Int64(config.count))
        try destination.putBlob(configBlob, from: MemorySource(config, digest: configBlob.digest), mountFrom: nil, nil)
        let manifest = Manifest(
            config: configBlob, layers: base + layers.map(\.descriptor),
            annotations: ImageWords.annotations(of: bundle)
        ).encoded()
        let descriptor = Descriptor(
            mediaType: MediaType.manifest, digest: manifest.digest, size: manifest.size,
            platform: options.platforms.count > 1 || options.isUniversal ? platform : nil)
        return (descriptor, manifest.bytes)
    }

    /// The other manifest of a universal image: a ModelPack whose layers are the model's own, byte for byte.
    private func modelPack(_ layers: [DescribedLayer]) throws -> (descriptor: Descriptor, bytes: [UInt8]) {
        let config = try ModelPackConfig(bundle, options).encoded(diffIDs: layers.map(\.diffID))
        let configBlob = Descriptor(
            mediaType: ModelPackType.config, digest: Digest.of(config), size: Int64(config.count))
        try destination.putBlob(configBlob, from: MemorySource(config, digest: configBlob.digest), mountFrom: nil, nil)
        let time = options.created ?? ImageWords.epoch
        var manifest = Manifest(
            config: configBlob,
            layers: layers.enumerated().map { index, layer in
                let files = index < self.layers.count ? self.layers[index].files.map { bundle.files[$0] } : []
                return UniversalLayer(layer.descriptor, files, gzipped: options.compression == .gzip, time).descriptor
            }, annotations: ImageWords.annotations(of: bundle))
        manifest.artifactType = ModelPackType.artifact
        let document = manifest.encoded()
        let descriptor = Descriptor(
            mediaType: MediaType.manifest, digest: document.digest, size: document.size,
            artifactType: ModelPackType.artifact)
        return (descriptor, document.bytes)
    }

    // MARK: Memory

    private func recall(_ index: Int) -> FinishedLayer? {
        // Fresh keys give other blobs every time.
        guard options.encryption == nil, let key = layers[index].key(knownFiles, of: bundle, options.compression),
            let blob = options.memory.recall(key)
        else { return nil }
        guard options.compression == .gzip else {
            return FinishedLayer(stored: StoredLayer(blob: blob), diffID: blob.digest)
        }
        // The digest of the tar inside is remembered beside that of the blob.
        return options.memory.recall(Self.diffKey(key)).map {
            FinishedLayer(stored: StoredLayer(blob: blob), diffID: $0.digest)
        }
    }

    private func remember(_ files: [Artifact?]) {
        for (index, file) in bundle.files.enumerated() {
            guard let part = file.part, let made = files[index] else { continue }
            options.memory.remember(Digest.of(part.key(size: made.size)), made)
        }
        for (index, layer) in finished.withLock({ $0 }) { remember(index, layer, files) }
    }

    private func remember(_ index: Int, _ layer: FinishedLayer, _ files: [Artifact?]) {
        guard options.encryption == nil, let key = layers[index].key(files, of: bundle, options.compression) else {
            return
        }
        options.memory.remember(key, layer.blob)
        guard options.compression == .gzip else { return }
        options.memory.remember(Self.diffKey(key), Artifact(digest: layer.diffID, size: layers[index].tar.size))
    }

    private static func diffKey(_ key: Digest) -> Digest { Digest.of("diff-id \(key)") }
}

/// A layer as the manifest, the config and the result name it.
struct DescribedLayer {
    let title: String
    let descriptor: Descriptor
    let diffID: Digest
    let createdBy: String
}
