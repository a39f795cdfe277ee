internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import ModelfileParser
internal import OCI

/// The model inside an image: what lies below `/models/`, and the Modelfile there.
enum ImageModel {
    /// Where the model is inside an image.
    private static let root = "models/"
    static let modelfile = "Modelfile"
    /// Longest Modelfile that is read from an image, in bytes. Licences are in it.
    static let longestModelfile: Int64 = 64 << 20

    /// - Parameters:
    ///   - wants: which files of the model are wanted; layers that hold others only are not fetched.
    ///   - fetch: brings a layer, verified and uncompressed, to where any range of it can be read.
    static func find(
        in image: Image, wants: (BundlePath) -> Bool, fetch: (Descriptor) throws -> any ByteSource
    ) throws -> FoundModel {
        guard case .image = ModelArtifact(image.manifest.content) else {
            return try withoutActuallyEscaping(wants) { wants in
                try withoutActuallyEscaping(fetch) { try PackedModel.find(in: image, wants: wants, fetch: $0) }
            }
        }
        var files: [String: ModelBundle.File] = [:]
        let parted = try PartedFile.all(in: image)
        let unwanted = Set(parted.filter { !wants($0.path) }.flatMap(\.layers))
        let parts = Set(parted.flatMap(\.layers))
        for layer in image.manifest.content.layers where !unwanted.contains(layer) {
            let only = layer.annotations["io.kapsule.file.path"].flatMap { try? BundlePath(validating: $0) }
            if let only, only.text != modelfile, !parts.contains(layer), !wants(only) { continue }
            let source = try fetch(layer)
            for entry in try TarIndex.reading(source, what: "layer \(layer.digest) of \(image.origin.name)").entries {
                try place(entry, of: layer, source, into: &files)
            }
        }
        for file in parted where wants(file.path) { try join(file, of: image, in: &files) }
        let digest = image.manifest.digest
        let modelfile = try files.removeValue(forKey: modelfile).map { try parse($0.source, of: image) }
        let candidates = files.values.filter { wants($0.path) }.sorted { $0.path < $1.path }.map { file in
            FoundModel.Candidate(file: file, identity: "\(digest)/\(file.path)")
        }
        guard !candidates.isEmpty else {
            throw KapsuleError(
                .usage, id: "source.no-model", "\(image.origin.name) has no files below /models/",
                remedy: "name an image that holds a model there, as kapsule, modelcar and KServe images do")
        }
        return FoundModel(
            name: image.origin.name, revision: digest.description, origin: origin(image), candidates: candidates,
            modelfile: modelfile)
    }

    /// Puts a file in the place of its parts.
    private static func join(
        _ file: PartedFile, of image: Image, in files: inout [String: ModelBundle.File]
    ) throws {
        let parts = file.parts.compactMap { files.removeValue(forKey: $0.path.text) }
        let whole = ConcatenatedSource(parts.map(\.source), digest: file.whole.digest)
        guard parts.count == file.parts.count, whole.size == file.whole.size else {
            throw KapsuleError(
                .unverified, id: "part.missing", "\(image.origin.name) does not hold all parts of '\(file.path)'",
                remedy: "build the image again")
        }
        files[file.path.text] = ModelBundle.File(
            path: file.path, role: Role.of(file.path), isExecutable: parts.first?.isExecutable ?? false, source: whole)
    }

    static func origin(_ image: Image) -> Origin {
        let annotations = image.manifest.content.annotations
        return Origin(
            url: annotations["org.opencontainers.image.source"],
            revision: annotations["org.opencontainers.image.revision"],
            title: annotations["org.opencontainers.image.title"],
            licenses: annotations["org.opencontainers.image.licenses"])
    }

    private static func place(
        _ entry: TarEntry, of layer: Descriptor, _ source: any ByteSource, into files: inout [String: ModelBundle.File]
    ) throws {
        var name = entry.path
        while name.hasPrefix("./") { name.removeFirst(2) }
        guard name.hasPrefix(root) else { return }
        name.removeFirst(root.count)
        if let removed = whiteout(name) {
            files = files.filter { !removed.isEmpty && $0.key != removed && !$0.key.hasPrefix("\(removed)/") }
            return
        }
        guard case .file = entry.kind else { return }
        let path = try path(name, in: layer)
        files[name] = ModelBundle.File(
            path: path, role: Role.of(path), isExecutable: entry.mode & 0o100 != 0,
            source: SliceSource(
                source, entry.contentOffset..<entry.contentOffset + entry.size,
                digest: try digest(of: path, size: entry.size, promisedBy: layer)))
    }

    /// A path in a layer, checked.
    static func path(_ name: String, in layer: Descriptor) throws -> BundlePath {
        do {
            return try BundlePath(validating: name)
        } catch {
            throw KapsuleError(
                .unverified, id: "layer.path",
                "layer \(layer.digest) holds a file whose path '\(name)' \(error.reason)",
                remedy: "do not use this image: no proper tool writes such a path")
        }
    }

    /// The digest that a layer of one file gives for it; a layer that says one thing and holds another is not believed.
    private static func digest(of path: BundlePath, size: Int64, promisedBy layer: Descriptor) throws -> Digest? {
        guard let promise = LayerPromise(layer) else { return nil }
        guard promise.path == path.text, promise.file.size == size else {
            throw KapsuleError(
                .unverified, id: "layer.annotation",
                "layer \(layer.digest) says that it holds '\(promise.path)' of \(promise.file.size) bytes, and it holds '\(path)' of \(size)",
                remedy: "build or copy the image again")
        }
        return promise.file.digest
    }

    /// What a whiteout entry takes away, empty for everything; nil for any other entry.
    ///
    /// Source: OCI image-spec v1.1, layer.md, "Whiteouts".
    private static func whiteout(_ name: String) -> String? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard let last = parts.last, last.hasPrefix(".wh.") else { return nil }
        let directory = parts.dropLast().joined(separator: "/")
        if last == ".wh..wh..opq" { return directory }
        return (directory.isEmpty ? "" : "\(directory)/") + last.dropFirst(4)
    }

    private static func parse(_ source: any ByteSource, of image: Image) throws -> Modelfile {
        let name = "Modelfile of \(image.origin.name)"
        let bytes = try source.readAll(limit: longestModelfile, what: "the \(name)")
        let result = Parser.parse(bytes: bytes, file: name)
        return try result.checked()
    }
}

/// What a layer of one file says of it, in the annotations that kapsule writes.
struct LayerPromise {
    let path: String
    let file: Artifact

    /// Nil for a layer that says nothing, or nothing sound.
    init?(_ layer: Descriptor) {
        guard let path = layer.annotations["io.kapsule.file.path"],
            let digest = layer.annotations["io.kapsule.file.sha256"].flatMap({ Digest(hex: $0) }),
            let size = layer.annotations["io.kapsule.file.size"].flatMap({ Int64($0) })
        else { return nil }
        self.path = path
        file = Artifact(digest: digest, size: size)
    }
}
