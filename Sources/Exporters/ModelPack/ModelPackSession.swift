internal import Encryption
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import OCI
internal import Synchronization

/// One ModelPack being made: a layer for each file, whatever lane it comes in.
final class ModelPackSession: ExportSession {
    let name: String
    private let bundle: ModelBundle
    private let destination: any ImageDestination
    private let options: ImageExporter.Options
    private let form: ModelPackForm
    /// Those of the bundle, then the Modelfile.
    private let files: [ModelPackFile]
    /// Indices into `files`, in the order of the manifest.
    private let order: [Int]
    /// By the index in `files`: its position in the manifest.
    private let places: [Int: Int]
    private let finished = Mutex<[Int: Finished]>([:])

    /// A file whose layer is at the destination.
    struct Finished: Sendable {
        let stored: StoredLayer
        /// Digest of the layer uncompressed and in plaintext.
        let diffID: Digest
    }

    init(
        _ bundle: ModelBundle, to destination: any ImageDestination, _ options: ImageExporter.Options,
        _ form: ModelPackForm
    ) {
        self.bundle = bundle
        self.destination = destination
        self.options = options
        self.form = form
        name = "\(options.encryption == nil ? "modelpack" : "encrypted modelpack") → \(destination.name)"
        // The name is one that the check of the bundle's paths has passed.
        let modelfile = (try? BundlePath(validating: ImageFormat.modelfilePath)).map {
            ModelPackFile($0, .config, isExecutable: false, size: Int64(bundle.modelfile.count), form)
        }
        let files =
            bundle.files.map {
                ModelPackFile($0.path, $0.role, isExecutable: $0.isExecutable, size: $0.source.size, form)
            } + (modelfile.map { [$0] } ?? [])
        self.files = files
        order = files.indices.sorted {
            (files[$0].type.order, files[$0].path) < (files[$1].type.order, files[$1].path)
        }
        places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        destination.foresee(
            order.map { index in
                ForeseenBlob(
                    size: isGzipped ? nil : files[index].layerSize,
                    digest: index < bundle.files.count ? known(index)?.digest : nil)
            })
    }

    private var isGzipped: Bool { options.compression == .gzip }
    private var isEncrypted: Bool { options.encryption != nil }
    private var time: String { options.created ?? ImageWords.epoch }

    // MARK: Lanes

    var directory: String? { destination.directory }

    var size: Int64 {
        guard destination.directory != nil else { return 0 }
        return bundle.files.indices.reduce(0) { sum, index in
            let isThere = known(index).map { destination.hasBlobNearby($0) == true } ?? false
            if isThere { return sum }
            return sum + max(0, files[index].layerSize - (outline(index).map(destination.allocated) ?? 0))
        }
    }

    /// The blob that a file will be, where that is known: the file itself, stored as it is.
    private func known(_ index: Int) -> Artifact? {
        guard form == .raw, !isEncrypted else { return nil }
        return bundle.files[index].known
    }

    func foresee(lane index: Int) -> Foresight {
        let lane = bundle.lanes[index].files
        let blobs = lane.compactMap(known)
        guard blobs.count == lane.count, let first = blobs.first else { return .reads }
        let nearby = blobs.map { destination.hasBlobNearby($0) }
        if nearby.allSatisfy({ $0 == true }) { return .present(first) }
        return blobs.count == 1 && nearby[0] == nil ? .known(first) : .reads
    }

    func open(lane index: Int) throws -> (any LaneSink)? {
        let missing = try bundle.lanes[index].files.filter { try !isThere($0) }
        guard !missing.isEmpty else { return nil }
        return ModelPackLaneSink(self, missing: Set(missing))
    }

    private func isThere(_ index: Int) throws -> Bool {
        guard let blob = known(index), try destination.hasBlob(blob) else { return false }
        finish(index, Finished(stored: StoredLayer(blob: blob), diffID: blob.digest))
        return true
    }

    func file(_ index: Int) -> ModelPackFile { files[index] }

    func output(for index: Int) throws -> any LayerOutput {
        let size = isGzipped ? nil : files[index].layerSize
        let blob: any BlobSink =
            if let size, size <= SmallBlob.largest {
                SmallBlob(destination, places[index])
            } else {
                try destination.openBlob(size: size, place: places[index], key: outline(index))
            }
        if isEncrypted { return EncryptedLayer(blob, gzips: isGzipped) }
        return isGzipped ? GzipLayer(blob) : PlainLayer(blob)
    }

    /// What is known of a layer before its file is read; nil where its bytes are others each time.
    private func outline(_ index: Int) -> BlobKey? {
        guard !isEncrypted, !isGzipped, index < bundle.files.count else { return nil }
        let (file, digest) = (files[index], bundle.files[index].source.digest)
        let outline = Digest.of(
            "modelpack-outline-1 \(form.rawValue) \(file.path.text.utf8.count):\(file.path) \(file.isExecutable) "
                + "\(file.size) \(digest.map(\.description) ?? "?")\n")
        return BlobKey(outline, of: [bundle.files[index]])
    }

    func salvaged(file index: Int) -> (any ByteSource)? {
        let start = files[index].contentOffset
        return outline(index).flatMap(destination.leftover)?.beginning(of: start..<start + files[index].size)
    }

    func finish(_ index: Int, _ layer: Finished) { finished.withLock { $0[index] = layer } }

    // MARK: Commit

    func commit(_ artifacts: [Artifact?]) throws -> ExportReceipt {
        try putModelfile()
        let layers = try order.map { index in
            guard let layer = finished.withLock({ $0[index] }) else {
                throw KapsuleError(.defect, id: "modelpack.layer-missing", "\(files[index].path) was never written")
            }
            return (descriptor: try describe(layer, files[index]), diffID: layer.diffID)
        }
        let config = try ModelPackConfig(bundle, options).encoded(diffIDs: layers.map(\.diffID))
        let configBlob = Descriptor(
            mediaType: ModelPackType.config, digest: Digest.of(config), size: Int64(config.count))
        try destination.putBlob(configBlob, from: MemorySource(config, digest: configBlob.digest), mountFrom: nil, nil)
        var manifest = Manifest(
            config: configBlob, layers: layers.map(\.descriptor), annotations: ImageWords.annotations(of: bundle))
        manifest.artifactType = ModelPackType.artifact
        let document = manifest.encoded()
        let root = Descriptor(
            mediaType: MediaType.manifest, digest: document.digest, size: document.size,
            artifactType: ModelPackType.artifact)
        try destination.publish(PublishedImage(root: root, bytes: document.bytes), replaces: options.replaces)
        return ExportReceipt(
            identity: root.digest, reference: destination.reference(to: root.digest),
            outputs: zip(order, layers).map { (files[$0].path.text, $1.descriptor.artifact) })
    }

    private func describe(_ layer: Finished, _ file: ModelPackFile) throws -> Descriptor {
        let descriptor = Descriptor(
            mediaType: file.mediaType(isGzipped: isGzipped), digest: layer.stored.blob.digest,
            size: layer.stored.blob.size, annotations: file.annotations(time: time))
        guard let encryption = options.encryption else { return descriptor }
        let recipients =
            file.path.text == ImageFormat.modelfilePath
            ? encryption.commonRecipients(file.path) : try encryption.recipients(of: [file.path])
        return try EncryptedDescriptor.of(
            descriptor, layer.stored, for: recipients, plain: isGzipped ? nil : layer.diffID)
    }

    private func putModelfile() throws {
        let sink = ModelPackLaneSink(self, missing: [bundle.files.count])
        try sink.beginFile(bundle.files.count)
        let text = bundle.modelfile
        try sink.write(text.span)
        _ = try sink.endFile(bundle.files.count)
        try sink.finish()
    }
}

/// A layer that is held in memory until its digest is known: the destination is then asked whether it has it.
private final class SmallBlob: BlobSink {
    static let largest: Int64 = 1 << 20

    private let destination: any ImageDestination
    private let place: Int?
    private var bytes = MemorySink()

    init(_ destination: any ImageDestination, _ place: Int?) {
        self.destination = destination
        self.place = place
    }

    func write(_ bytes: Span<UInt8>) throws { self.bytes.write(bytes) }

    func finish(_ digest: Digest) throws {
        let blob = Artifact(digest: digest, size: Int64(bytes.bytes.count))
        // A directory takes what it has without a question; an archive has kept a place for each.
        if destination.directory == nil, try destination.hasBlob(blob) { return }
        let sink = try destination.openBlob(size: blob.size, place: place, key: nil)
        do {
            try write(to: sink)
            try sink.finish(digest)
        } catch {
            sink.abandon()
            throw error
        }
    }

    private func write(to sink: any BlobSink) throws {
        var sink = sink
        let bytes = bytes.bytes
        if !bytes.isEmpty { try sink.write(bytes.span) }
    }

    func abandon() {}
}
