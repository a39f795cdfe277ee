internal import KapsuleCore
internal import KapsuleCrypto
internal import OCI
internal import Ollama
internal import Synchronization

/// One model on its way to where images go, in Ollama's form: every GGUF file is a layer, as it is.
final class OllamaImageSession: ExportSession {
    let name: String
    private let bundle: ModelBundle
    private let destination: any ImageDestination
    private let replaces: Bool
    private let note: @Sendable (String) -> Void
    private let layout: OllamaLayout
    private let arrangement: OllamaLayout.Arrangement
    /// Position in the manifest by index in the bundle.
    private let places: [Int: Int]
    /// Blobs that the destination has, by index in the bundle.
    private let finished = Mutex<[Int: Artifact]>([:])

    init(
        _ bundle: ModelBundle, to destination: any ImageDestination, replaces: Bool,
        note: @escaping @Sendable (String) -> Void
    ) throws {
        self.bundle = bundle
        self.destination = destination
        self.replaces = replaces
        self.note = note
        name = "ollama → \(destination.name)"
        let layout = try OllamaLayout(bundle)
        self.layout = layout
        // A blob in a registry cannot be read again cheaply: what the headers say is wanted before anything moves.
        let arrangement = try layout.arranged(try layout.headers { bundle.files[$0].source })
        self.arrangement = arrangement
        places = Dictionary(uniqueKeysWithValues: arrangement.layers.enumerated().map { ($1.file, $0) })
        if let text = layout.skippedText { note("\(name): \(text)") }
        destination.foresee(
            arrangement.layers.map { layer in
                let source = bundle.files[layer.file].source
                return ForeseenBlob(size: source.size, digest: source.digest)
            })
    }

    // MARK: Lanes

    var directory: String? { destination.directory }

    var size: Int64 {
        guard destination.directory != nil else { return 0 }
        return layout.wanted.reduce(0) { sum, index in
            let isThere = bundle.files[index].known.map { destination.hasBlobNearby($0) == true } ?? false
            return isThere ? sum : sum + bundle.files[index].source.size
        }
    }

    func foresee(lane index: Int) -> Foresight {
        let lane = layout.wanted(in: index)
        let blobs = lane.compactMap { bundle.files[$0].known }
        guard blobs.count == lane.count else { return .reads }
        let first = blobs.first ?? Artifact(digest: Digest.of([]), size: 0)
        let nearby = blobs.map { destination.hasBlobNearby($0) }
        if nearby.allSatisfy({ $0 == true }) { return .present(first) }
        return blobs.count == 1 && nearby[0] == nil ? .known(first) : .reads
    }

    func open(lane index: Int) throws -> (any LaneSink)? {
        let missing = try layout.wanted(in: index).filter { try !isThere($0) }
        return missing.isEmpty ? nil : OllamaImageLaneSink(self, missing: Set(missing))
    }

    private func isThere(_ index: Int) throws -> Bool {
        guard let blob = bundle.files[index].known, try destination.hasBlob(blob) else { return false }
        finish(index, blob)
        return true
    }

    func blob(for index: Int) throws -> any BlobSink {
        try destination.openBlob(size: bundle.files[index].source.size, place: places[index], key: key(of: index))
    }

    /// What is known of a blob before its file is read.
    private func key(of index: Int) -> BlobKey {
        let (path, source) = (bundle.files[index].path.text, bundle.files[index].source)
        let outline = Digest.of(
            "ollama-outline-1 \(path.utf8.count):\(path) \(source.size) \(source.digest.map(\.description) ?? "?")\n")
        return BlobKey(outline, of: [bundle.files[index]])
    }

    func salvaged(file index: Int) -> (any ByteSource)? {
        destination.leftover(of: key(of: index))?.beginning(of: 0..<bundle.files[index].source.size)
    }

    func finish(_ index: Int, _ blob: Artifact) { finished.withLock { $0[index] = blob } }

    // MARK: Commit

    func commit(_ files: [Artifact?]) throws -> ExportReceipt {
        let documents = try OllamaDocuments(bundle, arrangement, finished.withLock(\.self)) {
            note("\(name): \($0)")
        }
        for blob in documents.small {
            let source = MemorySource(blob.bytes, digest: blob.descriptor.digest)
            try destination.putBlob(blob.descriptor, from: source, mountFrom: nil, nil)
        }
        let manifest = documents.manifest
        let root = Descriptor(
            mediaType: MediaType.dockerManifest, digest: Digest.of(manifest), size: Int64(manifest.count))
        try destination.publish(PublishedImage(root: root, bytes: manifest), replaces: replaces)
        return ExportReceipt(
            identity: root.digest, reference: destination.reference(to: root.digest), outputs: documents.outputs)
    }
}

/// Turns each GGUF file of a lane into a blob as it passes.
final class OllamaImageLaneSink: LaneSink {
    let digestsFiles = true
    private let session: OllamaImageSession
    /// Files that the destination has not; others are hashed and go nowhere.
    private let missing: Set<Int>
    private var blob: (any BlobSink)?
    private var hasher = SHA256Hasher()
    private var count: Int64 = 0

    init(_ session: OllamaImageSession, missing: Set<Int>) {
        self.session = session
        self.missing = missing
    }

    func beginFile(_ index: Int) throws {
        count = 0
        blob = missing.contains(index) ? try session.blob(for: index) : nil
    }

    func write(_ bytes: Span<UInt8>) throws {
        hasher.update(bytes)
        count += Int64(bytes.count)
        try blob?.write(bytes)
    }

    func endFile(_ index: Int) throws -> Digest? {
        let digest = hasher.finalize()
        guard let blob else { return digest }
        try blob.finish(digest)
        self.blob = nil
        session.finish(index, Artifact(digest: digest, size: count))
        return digest
    }

    func finish() throws {}

    func abandon() { blob?.abandon() }
}
