internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import ModelfileParser
internal import OCI

/// The model inside an image whose layers are files or archives of files: a ModelPack, a Docker model, a ModelKit, an image
/// of kapsule of 2024.
struct PackedModel {
    private let image: Image
    private let wants: (BundlePath) -> Bool
    private let fetch: (Descriptor) throws -> any ByteSource
    private var files: [BundlePath: ModelBundle.File] = [:]
    private var modelfile: Modelfile?
    private var card = ModelCard()

    /// - Parameters:
    ///   - wants: which files of the model are wanted; layers that hold others only are not fetched.
    ///   - fetch: brings a layer, verified, decrypted and uncompressed, to where any range of it can be read.
    static func find(
        in image: Image, wants: @escaping (BundlePath) -> Bool,
        fetch: @escaping (Descriptor) throws -> any ByteSource
    ) throws -> FoundModel {
        var model = PackedModel(image: image, wants: wants, fetch: fetch)
        for layer in try ModelLayer.all(of: image) { try model.add(layer) }
        return try model.found()
    }

    private init(
        image: Image, wants: @escaping (BundlePath) -> Bool, fetch: @escaping (Descriptor) throws -> any ByteSource
    ) {
        self.image = image
        self.wants = wants
        self.fetch = fetch
    }

    private func found() throws -> FoundModel {
        let digest = image.manifest.digest
        let candidates = files.values.filter { wants($0.path) }.sorted { $0.path < $1.path }
        guard !candidates.isEmpty else {
            throw KapsuleError(
                .usage, id: "source.no-model", "\(image.origin.name) has no files that are wanted",
                remedy: "check with 'kapsule inspect' what it holds, and EXCLUDE, --include and --exclude")
        }
        return FoundModel(
            name: image.origin.name, revision: digest.description, origin: ImageModel.origin(image),
            candidates: candidates.map { FoundModel.Candidate(file: $0, identity: "\(digest)/\($0.path)") },
            modelfile: try modelfile ?? ownModelfile())
    }

    private mutating func add(_ layer: ModelLayer) throws {
        switch layer.content {
        case .file(let path, let isExecutable): try add(layer, at: path, isExecutable)
        case .tar(let root): try addArchive(layer, below: root)
        case .part(let part): try add(layer, part)
        }
    }

    // MARK: Files

    private mutating func add(_ layer: ModelLayer, at path: BundlePath, _ isExecutable: Bool) throws {
        if path.text == ImageModel.modelfile { return try takeModelfile(try source(of: layer), path) }
        guard wants(path) else { return }
        try place(
            ModelBundle.File(
                path: path, role: Role.of(path), isExecutable: isExecutable, source: try source(of: layer)))
    }

    /// A layer that is a file as it is needs no place to be brought to: it is read where it lies, and checked on the way.
    private func source(of layer: ModelLayer) throws -> any ByteSource {
        guard !layer.isGzipped, !MediaType.isEncrypted(layer.descriptor.mediaType) else {
            return try fetch(layer.descriptor)
        }
        let blob = try image.origin.blob(layer.descriptor)
        guard blob.size == layer.descriptor.size else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "layer \(layer.descriptor.digest) of \(image.origin.name) has \(blob.size) bytes, and its manifest promises \(layer.descriptor.size)",
                remedy: "make or copy the image again")
        }
        return KnownSource(blob, digest: layer.descriptor.digest)
    }

    private mutating func place(_ file: ModelBundle.File) throws {
        guard files.updateValue(file, forKey: file.path) == nil else {
            throw KapsuleError(
                .unverified, id: "layer.path-twice", "\(image.origin.name) has two layers that are '\(file.path)'",
                remedy: "do not use this image: a model has a file once")
        }
    }

    private mutating func addArchive(_ layer: ModelLayer, below root: String) throws {
        let source = try fetch(layer.descriptor)
        let what = "layer \(layer.descriptor.digest) of \(image.origin.name)"
        let prefix = root.isEmpty ? "" : "\(root)/"
        for entry in try TarIndex.reading(source, what: what).entries where entry.kind == .file {
            var name = Substring(entry.path)
            while name.hasPrefix("./") { name = name.dropFirst(2) }
            guard name.hasPrefix(prefix) else { continue }
            let path = try ImageModel.path(String(name.dropFirst(prefix.count)), in: layer.descriptor)
            let content = SliceSource(source, entry.contentOffset..<entry.contentOffset + entry.size)
            if path.text == ImageModel.modelfile {
                try takeModelfile(content, path)
            } else {
                // As tar has it, a later entry of the same path wins.
                files[path] = ModelBundle.File(
                    path: path, role: Role.of(path), isExecutable: entry.mode & 0o100 != 0, source: content)
            }
        }
    }

    // MARK: Modelfiles

    /// A Modelfile of ours travels with the model. Other tools have files of that name in other languages; a model may
    /// have those, and they say nothing here.
    private mutating func takeModelfile(_ source: any ByteSource, _ path: BundlePath) throws {
        let name = "Modelfile of \(image.origin.name)"
        let bytes = try source.readAll(limit: ImageModel.longestModelfile, what: "the \(name)")
        if let promised = source.digest, Digest.of(bytes) != promised {
            throw KapsuleError(
                .unverified, id: "content.mismatch", "the \(name) is not what its manifest promises",
                remedy: "make or copy the image again")
        }
        let result = Parser.parse(bytes: bytes, file: name)
        let isOurs = result.errors.isEmpty && result.modelfile.instructions.contains { $0.word == .from }
        if isOurs { modelfile = result.modelfile }
    }

    /// What kapsule of 2024 kept beside the model.
    private func ownModelfile() throws -> Modelfile? {
        guard card != ModelCard(), let first = files.keys.min() else { return nil }
        let text = try Modelfile.synthesised(card: card, from: ["./\(first)"])
        return try Parser.parse(text, file: "parameters of \(image.origin.name)").checked()
    }

    private mutating func add(_ layer: ModelLayer, _ part: ModelLayer.Part) throws {
        let source = try fetch(layer.descriptor)
        func text() throws -> String {
            let what = "the \(part.rawValue) of \(image.origin.name)"
            return String(
                decoding: try source.readAll(limit: ImageModel.longestModelfile, what: what), as: UTF8.self)
        }
        switch part {
        case .model:
            let path = try ImageModel.path(try Self.fileName(of: source), in: layer.descriptor)
            guard wants(path) else { return }
            try place(ModelBundle.File(path: path, role: Role.of(path), source: source))
        case .template: card.template = try text()
        case .licence: card.licenses.append(try text())
        case .params: card.parameters += try parameters(Array(text().utf8))
        }
    }

    /// These images do not say what the file was called.
    private static func fileName(of source: any ByteSource) throws -> String {
        var sink = MemorySink()
        try source.read(0..<min(source.size, 9), into: &sink)
        if sink.bytes.starts(with: "GGUF".utf8) { return "model.gguf" }
        return sink.bytes.count == 9 && sink.bytes[8] == UInt8(ascii: "{") ? "model.safetensors" : "model.bin"
    }

    /// `{"stop":["a","b"],"top_k":["40"]}`.
    private func parameters(_ bytes: [UInt8]) throws -> [ModelCard.Parameter] {
        let what = "the parameters of \(image.origin.name)"
        guard case .object(let members) = try JSON.decode(bytes, what: what) else {
            throw KapsuleError(
                .unverified, id: "document.malformed", "\(what) are not a JSON object",
                remedy: "do not use this image, or build it again")
        }
        return members.flatMap { member -> [ModelCard.Parameter] in
            guard case .array(let values) = member.value else { return [] }
            return values.compactMap { value in
                guard case .string(let text) = value else { return nil }
                return ModelCard.Parameter(name: member.name, value: text)
            }
        }
    }
}
