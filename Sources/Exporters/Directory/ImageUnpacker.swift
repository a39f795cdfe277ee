public import Encryption
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
public import OCI

/// Writes the model inside an image to a directory: what vLLM and transformers load, and a context that builds again.
///
/// Layers go from where they are straight to files; nothing is kept twice, and what is there already is not fetched.
public struct ImageUnpacker: Sendable {
    /// Layers at one time.
    public let concurrency: Int
    public let include: PathFilter
    public let exclude: PathFilter
    /// Whether a file that is there with other content is replaced.
    public let replaces: Bool
    /// Decrypts encrypted layers on the way; empty where there are no keys.
    public let keyring: Keyring
    public let progress: any ProgressReporter

    public init(
        concurrency: Int, include: PathFilter, exclude: PathFilter, replaces: Bool, keyring: Keyring = Keyring(),
        progress: any ProgressReporter
    ) {
        self.keyring = keyring
        self.concurrency = concurrency
        self.include = include
        self.exclude = exclude
        self.replaces = replaces
        self.progress = progress
    }

    /// - Throws: `.unverified` for a layer that is not what the manifest promises, `.conflict` for a file that is there
    ///   with other content, `.usage` when there is no model or nothing of it is selected.
    public func unpack(_ image: Image, into target: String) async throws {
        let parted = try missingParts(of: image, in: target)
        let layers = try missingLayers(of: image, parted, in: target)
        // Without the keys nothing is made, not even the directory.
        let encryption = try EncryptedLayers(layers, of: image, keyring)
        try Directories.make(target)
        let lanes = try lanes(layers, parted, target)
        try await forEach(lanes, limit: concurrency) { lane in
            for layer in lane.layers { try unpack(layer, of: image, encryption, with: lane.unpacker.value) }
        }
        lanes.first?.unpacker.value.removeKept()
        for file in parted {
            try progress.during("join \(file.path)", total: file.whole.size) { activity in
                try PartJoin(file: file, target: target, replaces: replaces).run(activity)
            }
        }
        try PartJoin.clear(target)
        let report = lanes.map { $0.unpacker.value.finish() }
        if report.allSatisfy({ $0.written == 0 && $0.kept == 0 }), layers.count == image.manifest.content.layers.count {
            throw nothingSelected(image)
        }
    }

    private func lanes(_ layers: [Descriptor], _ parted: [PartedFile], _ target: String) throws -> [Lane] {
        let parts = Set(parted.flatMap(\.layers))
        let whole = layers.filter { !parts.contains($0) }
        // Layers that say that they share no file need not wait for one another; others go bottom first.
        let groups = Self.areDisjoint(whole) ? whole.map { [$0] } : [whole]
        var lanes = try groups.filter { !$0.isEmpty }.map { group in
            Lane(layers: group, unpacker: Unpacker(try DirectoryUnpacker(into: target, options: options)))
        }
        for layer in layers where parts.contains(layer) {
            var options = UnpackOptions()
            options.prefix = ImageFormat.root
            options.force = true
            let folder = "\(target)/\(PartJoin.folder)"
            lanes.append(
                Lane(layers: [layer], unpacker: Unpacker(try DirectoryUnpacker(into: folder, options: options))))
        }
        let coming = layers.map { layer in
            let there = KeptFile.allocated(for: layer.digest, in: target)
            return Artifact(digest: layer.digest, size: max(0, layer.size - there))
        }
        // While a part is taken over it is there twice.
        let largest = parted.flatMap(\.layers).max { $0.size < $1.size }
        try lanes.first?.unpacker.value.checkSpace(for: coming + (largest.map { [$0.artifact] } ?? []))
        return lanes
    }

    /// Layers that go one after the other, through an unpacker that one task at a time uses.
    private struct Lane: Sendable {
        let layers: [Descriptor]
        let unpacker: Unpacker
    }

    /// Handed to the one task that uses it.
    // `DirectoryUnpacker` is for one thread at a time, and a lane is run by one task.
    private struct Unpacker: @unchecked Sendable {
        let value: DirectoryUnpacker
        init(_ value: DirectoryUnpacker) { self.value = value }
    }

    private var options: UnpackOptions {
        var options = UnpackOptions()
        options.prefix = ImageFormat.root
        options.include = include
        options.exclude = exclude
        options.force = replaces
        return options
    }

    private func nothingSelected(_ image: Image) -> KapsuleError {
        KapsuleError(
            .usage, id: "export.nothing",
            "\(image.origin.name) has no files below /\(ImageFormat.root)/ that are wanted",
            remedy: include.isEmpty && exclude.isEmpty
                ? "check with 'kapsule inspect' that it is a model" : "check --include and --exclude")
    }

    // MARK: Which layers

    /// The files that come in parts, are wanted and are not there.
    private func missingParts(of image: Image, in target: String) throws -> [PartedFile] {
        try PartedFile.all(in: image).filter { file in
            guard isWanted(file.path) else { return false }
            return try !isThere((file.path, file.whole), in: target)
        }
    }

    /// The layers whose files are not all there already, as far as their annotations tell.
    private func missingLayers(
        of image: Image, _ parted: [PartedFile], in target: String
    ) throws -> [Descriptor] {
        let parts = Set(parted.flatMap(\.layers))
        let joined = try Set(parted.flatMap { try PartJoin.joinedLayers(of: $0, in: target) })
        return try image.manifest.content.layers.filter { layer in
            guard let file = Self.onlyFile(of: layer) else { return true }
            if layer.annotations[LayerPart.Annotation.whole] != nil {
                guard parts.contains(layer), !joined.contains(layer) else { return false }
                return try !isThere(file, in: "\(target)/\(PartJoin.folder)")
            }
            guard isWanted(file.path) else { return false }
            return try !isThere(file, in: target)
        }
    }

    private func isWanted(_ path: BundlePath) -> Bool {
        (include.isEmpty || include.excludes(path)) && !exclude.excludes(path)
    }

    private static func onlyFile(of layer: Descriptor) -> (path: BundlePath, artifact: Artifact)? {
        let annotations = layer.annotations
        guard let path = annotations[ImageFormat.Annotation.path].flatMap({ try? BundlePath(validating: $0) }),
            let digest = annotations[ImageFormat.Annotation.sha256].flatMap({ Digest(hex: $0) }),
            let size = annotations[ImageFormat.Annotation.size].flatMap({ Int64($0) })
        else { return nil }
        return (path, Artifact(digest: digest, size: size))
    }

    /// Whether a run before this one has finished the file: it is read again, for names and sizes prove nothing.
    private func isThere(_ file: (path: BundlePath, artifact: Artifact), in target: String) throws -> Bool {
        let path = "\(target)/\(file.path)"
        guard let status = try FileStatus.of(path, followsLinks: false), status.kind == .regular,
            status.size == file.artifact.size
        else { return false }
        return try progress.during("check \(file.path)", total: status.size) { activity in
            try CountedHash.digest(of: FileSource(path: path), activity) == file.artifact.digest
        }
    }

    private static func areDisjoint(_ layers: [Descriptor]) -> Bool {
        var paths: Set<String> = []
        for layer in layers {
            guard let names = fileNames(of: layer) else { return false }
            for name in names { guard paths.insert(name).inserted else { return false } }
        }
        return true
    }

    private static func fileNames(of layer: Descriptor) -> [String]? {
        if let path = layer.annotations[ImageFormat.Annotation.path] { return [path] }
        guard let list = layer.annotations[ImageFormat.Annotation.files],
            case .object(let members)? = try? JSON.decode(Array(list.utf8), what: "a list of files")
        else { return nil }
        return members.map(\.name)
    }

    // MARK: One layer

    private func unpack(
        _ layer: Descriptor, of image: Image, _ encryption: EncryptedLayers, with unpacker: DirectoryUnpacker
    ) throws {
        let what = image.naming(layer)
        let compression = try LayerCompression(mediaType: EncryptedType.plain(layer.mediaType) ?? layer.mediaType)
        let title = layer.annotations[ImageFormat.Annotation.path] ?? "layer \(layer.digest.short)"
        try progress.during(title, total: layer.size) { activity in
            let source = try image.origin.blob(layer)
            guard source.size == layer.size else {
                throw KapsuleError(
                    .unverified, id: "content.mismatch",
                    "\(what) has \(source.size) bytes, and its manifest promises \(layer.size)",
                    remedy: "make or copy the image again")
            }
            let key = encryption.key(of: layer)
            if key == nil, let file = source as? FileSource {
                try unpacker.unpack(file, layer.artifact, compression: compression, what: what)
                return activity.advance(by: Int(layer.size))
            }
            let attempt = {
                try unpack(source, layer.artifact, key, compression, what, activity, with: unpacker)
            }
            do {
                try attempt()
            } catch let error as KapsuleError where error.code == .unverified && Self.isFar(source) {
                // Bytes may have been spoilt on the way: once more, from the first on.
                activity.restart(at: 0)
                try attempt()
            }
        }
    }

    private static func isFar(_ source: any ByteSource) -> Bool {
        if case .stream = source.backing { return true }
        return false
    }

    private func unpack(
        _ source: any ByteSource, _ blob: Artifact, _ key: EncryptedLayers.Key?, _ compression: LayerCompression,
        _ what: String, _ activity: Activity, with unpacker: DirectoryUnpacker
    ) throws {
        if let key {
            try unpacker.unpack(source, blob, key, compression: compression, what: what, activity)
        } else if compression == .none, Self.isFar(source) {
            try unpacker.resume(source, blob, what: what, activity)
        } else {
            let sink = unpacker.layer(blob, compression: compression, what: what)
            var counted = CountedSink(sink, activity)
            try source.read(0..<source.size, into: &counted)
            try sink.finish()
        }
    }
}

/// Stored bytes of a layer on their way, counted.
