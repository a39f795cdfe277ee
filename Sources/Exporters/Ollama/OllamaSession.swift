internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import ModelfileParser
internal import Ollama
internal import Synchronization

/// One model on its way into Ollama's store. Every GGUF file becomes a blob; what the Modelfile says becomes small ones.
final class OllamaSession: ExportSession {
    let name: String
    private let bundle: ModelBundle
    private let options: OllamaExporter.Options
    private let layout: OllamaLayout
    /// Files on their way, and whole ones that have no name yet, by their index in the bundle.
    private let coming = Mutex<[Int: OllamaBlobFile]>([:])

    private var store: OllamaStore { options.store }

    init(_ bundle: ModelBundle, _ options: OllamaExporter.Options) throws {
        self.bundle = bundle
        self.options = options
        name = "ollama → \(options.names[0].short)"
        layout = try OllamaLayout(bundle)
        try refuseEarly()
        if let text = layout.skippedText { options.note("\(name): \(text)") }
    }

    /// What the headers say against the model is known before a byte is moved. Of a single file that has to be fetched the
    /// header alone says little, and is not fetched twice.
    private func refuseEarly() throws {
        let isAtHand = layout.wanted.allSatisfy { OllamaBlobFile.isAtHand(bundle.files[$0].source) }
        guard isAtHand || layout.wanted.count > 1 else { return }
        _ = try layout.arranged(try layout.headers { bundle.files[$0].source })
    }

    // MARK: Lanes

    var directory: String? { store.path }

    var size: Int64 {
        bundle.lanes.indices.reduce(0) { sum, lane in
            if case .present = foresee(lane: lane) { return sum }
            return sum + layout.wanted(in: lane).reduce(0) { $0 + bundle.files[$1].source.size }
        }
    }

    func foresee(lane index: Int) -> Foresight {
        let files = layout.wanted(in: index)
        let there = files.compactMap { bundle.files[$0].known }.filter { (try? store.contains($0)) == true }
        guard there.count == files.count else { return .reads }
        let isProven = there.allSatisfy { options.memory.recall(store.path(of: $0.digest)) == $0.digest }
        let first = there.first ?? Artifact(digest: Digest.of([]), size: 0)
        return isProven ? .present(first) : .known(first)
    }

    func open(lane index: Int) throws -> (any LaneSink)? {
        let missing = try layout.wanted(in: index).filter { file in
            guard let blob = bundle.files[file].known else { return true }
            return try !isWhole(blob)
        }
        guard !missing.isEmpty else { return nil }
        return OllamaLaneSink(missing) { [self] in try newBlob($0) }
    }

    private func newBlob(_ index: Int) throws -> OllamaBlobFile {
        // One that was given up lets go of its lock first.
        coming.withLock { $0[index] = nil }
        let file = try OllamaBlobFile(for: bundle.files[index].source, in: store)
        coming.withLock { $0[index] = file }
        return file
    }

    func salvaged(file index: Int) -> (any ByteSource)? {
        try? coming.withLock { $0[index] }?.salvaged()
    }

    /// Whether a blob is here and is what its name says. It is read once, and not again while it does not change.
    private func isWhole(_ blob: Artifact) throws -> Bool {
        guard try store.contains(blob) else { return false }
        let path = store.path(of: blob.digest)
        if let digest = options.memory.recall(path) { return digest == blob.digest }
        let start = WallClock.now
        let digest = try Digest.of(try store.blob(blob))
        options.memory.remember(path, digest, start)
        return digest == blob.digest
    }

    // MARK: Commit

    func commit(_ files: [Artifact?]) throws -> ExportReceipt {
        // What is no model gets no name.
        let arrangement = try layout.arranged(try layout.headers { try whole($0, files[$0]) })
        let weights = try layout.wanted.reduce(into: [Int: Artifact]()) { $0[$1] = try publish($1, files[$1]) }
        let documents = try OllamaDocuments(bundle, arrangement, weights) { options.note("\(name): \($0)") }
        for blob in documents.small { _ = try store.put(blob.bytes) }
        let manifest = documents.manifest
        for name in options.names { try store.publish(manifest, as: name, replaces: options.replaces) }
        try checkBlobs(documents.blobs)
        let digest = Digest.of(manifest)
        return ExportReceipt(
            identity: digest, reference: "ollama:\(options.names[0].short)@\(digest)",
            outputs: documents.outputs, ollamaStore: store.path)
    }

    /// The content of a file that was written, or was here before.
    private func whole(_ index: Int, _ made: Artifact?) throws -> any ByteSource {
        if let file = coming.withLock({ $0[index] }), file.isWhole { return try file.source() }
        return try store.blob(try artifact(index, made ?? bundle.files[index].known))
    }

    /// Gives a file that was written its name.
    private func publish(_ index: Int, _ made: Artifact?) throws -> Artifact {
        let blob = try artifact(index, made ?? bundle.files[index].known)
        if let made = coming.withLock({ $0.removeValue(forKey: index) }), made.isWhole {
            let isWhole = try store.contains(blob) && options.memory.recall(store.path(of: blob.digest)) == blob.digest
            try made.publish(as: blob.digest, replaces: !isWhole)
        }
        return blob
    }

    private func artifact(_ index: Int, _ artifact: Artifact?) throws -> Artifact {
        guard let artifact else {
            throw KapsuleError(
                .defect, id: "ollama.blob-unknown", "\(bundle.files[index].path) was never written to \(name)")
        }
        return artifact
    }

    /// Ollama removes blobs that no manifest names, when it starts; it may have done so a moment before the manifest came.
    private func checkBlobs(_ blobs: [Artifact]) throws {
        for blob in blobs where try !store.contains(blob) {
            throw KapsuleError(
                .unavailable, id: "ollama.blob-removed",
                "blob \(blob.digest) disappeared from \(store.path) while the model was made",
                remedy: "run the command again; Ollama was started in between, and cleans up when it starts")
        }
    }
}
