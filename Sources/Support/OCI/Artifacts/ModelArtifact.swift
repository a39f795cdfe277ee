public import KapsuleCore

/// What kinds of image there are that hold a model.
public enum ModelArtifact: Sendable {
    /// Tar layers of a file system, the model below `/models`.
    case image
    /// A CNCF ModelPack.
    case modelPack
    /// What `docker model package` makes.
    case dockerModel
    /// A ModelKit of KitOps.
    case kitOps
    /// What kapsule made in 2024: gzipped files, each known by its layer's type.
    case kapsule2024

    public init(_ manifest: Manifest) {
        let types = [manifest.artifactType ?? "", manifest.config.mediaType] + manifest.layers.map(\.mediaType)
        func any(_ prefix: String) -> Bool { types.contains { $0.hasPrefix(prefix) } }
        if any(ModelPackType.prefix) || any(ModelPackType.oldPrefix) {
            self = .modelPack
        } else if any(DockerModelType.prefix) {
            self = .dockerModel
        } else if any("application/vnd.kitops.modelkit.") {
            self = .kitOps
        } else if any(ModelLayer.kapsule2024) {
            self = .kapsule2024
        } else {
            self = .image
        }
    }

    /// As `inspect` names it.
    public var title: String {
        switch self {
        case .image: "image"
        case .modelPack: "ModelPack"
        case .dockerModel: "Docker model"
        case .kitOps: "ModelKit"
        case .kapsule2024: "image of kapsule of 2024"
        }
    }
}

/// Words of the CNCF model-spec.
///
/// Source: github.com/modelpack/model-spec, docs/spec.md and docs/annotations.md.
public enum ModelPackType {
    public static let prefix = "application/vnd.cncf.model."
    /// Before the project moved.
    static let oldPrefix = "application/vnd.cnai.model."
    public static let artifact = "application/vnd.cncf.model.manifest.v1+json"
    public static let config = "application/vnd.cncf.model.config.v1+json"

    /// What a layer holds.
    public enum Kind: String, Sendable, CaseIterable {
        case weightConfig = "weight.config"
        case weight
        case code
        case doc
        case dataset
    }

    /// - Parameter form: `raw`, `tar`, `tar+gzip`.
    public static func layer(_ kind: Kind, _ form: String) -> String { "\(prefix)\(kind.rawValue).v1.\(form)" }

    public enum Annotation {
        public static let path = "org.cncf.model.filepath"
        static let oldPath = "org.cnai.model.filepath"
        public static let metadata = "org.cncf.model.file.metadata+json"
        public static let untested = "org.cncf.model.file.mediatype.untested"
    }
}

/// Words of Docker Model Runner.
///
/// Source: github.com/docker/model-runner, pkg/distribution/types.
enum DockerModelType {
    static let prefix = "application/vnd.docker.ai."

    /// What a file is called where no annotation says so: the runner goes by the type alone.
    static func fileName(_ type: String, number: Int, of count: Int) -> String? {
        func shard(_ name: String, _ ending: String) -> String {
            guard count > 1 else { return "\(name).\(ending)" }
            func padded(_ value: Int) -> String {
                let digits = String(value)
                return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
            }
            return "\(name)-\(padded(number))-of-\(padded(count)).\(ending)"
        }
        switch type.dropFirst(prefix.count) {
        case "gguf.v3": return shard("model", "gguf")
        case "safetensors": return shard("model", "safetensors")
        case "dduf": return "model.dduf"
        case "mmproj": return "mmproj.gguf"
        case "chat.template.jinja": return "chat_template.jinja"
        case "license": return count > 1 ? "LICENSE.\(number)" : "LICENSE"
        default: return nil
        }
    }
}

/// One layer of such an image, and what of the model is in it.
public struct ModelLayer: Sendable {
    public enum Content: Sendable, Hashable {
        /// An archive; what is below `root` in it belongs to the model, everything where it is empty.
        case tar(root: String)
        /// One file, its bytes as they are.
        case file(BundlePath, isExecutable: Bool)
        /// A part of the Modelfile that kapsule of 2024 kept in layers of their own, or its model.
        case part(Part)
    }

    public enum Part: String, Sendable {
        case model, template, params, licence
    }

    static let kapsule2024 = "application/vnd.kapsule.image."

    public let descriptor: Descriptor
    public let content: Content
    /// Of what is inside an encrypted layer.
    public let isGzipped: Bool

    /// The layers of an image that hold something of the model, in order.
    ///
    /// - Throws: `.unverified` for a file that has no path or an impossible one; `.usage` for a compression that cannot be
    ///   read.
    public static func all(of image: Image) throws -> [ModelLayer] {
        let manifest = image.manifest.content
        let kind = ModelArtifact(manifest)
        return try manifest.layers.enumerated().compactMap { position, layer in
            let type = MediaType.plain(layer.mediaType)
            let isGzipped = try isGzipped(type, layer, image)
            guard let content = try content(of: layer, type, at: position, in: manifest, kind, image.origin.name) else {
                return nil
            }
            return ModelLayer(descriptor: layer, content: content, isGzipped: isGzipped)
        }
    }

    private static func isGzipped(_ type: String, _ layer: Descriptor, _ image: Image) throws -> Bool {
        guard !type.hasSuffix("+zstd"), !type.hasSuffix(".zstd") else {
            throw KapsuleError(
                .usage, id: "layer.media-type",
                "layer \(layer.digest.short) of \(image.origin.name) is a \(layer.mediaType), which cannot be read",
                remedy: "use an image whose layers are plain or gzipped")
        }
        return type.hasSuffix("+gzip") || type.hasSuffix(".gzip")
    }

    private static func content(
        of layer: Descriptor, _ type: String, at position: Int, in manifest: Manifest, _ kind: ModelArtifact,
        _ image: String
    ) throws -> Content? {
        switch kind {
        case .image: return .tar(root: "models")
        case .kapsule2024:
            let name = type.dropFirst(kapsule2024.count).prefix { $0 != "+" }
            return Part(rawValue: String(name)).map { .part($0) }
        case .kitOps: return .tar(root: "")
        case .modelPack, .dockerModel:
            if isTar(type) { return .tar(root: tarRoot(layer)) }
            let same = manifest.layers.map { MediaType.plain($0.mediaType) }
            let number = same[...position].count { $0 == type }
            return try file(
                layer, defaultName: DockerModelType.fileName(type, number: number, of: same.count { $0 == type }), image
            )
        }
    }

    private static func isTar(_ type: String) -> Bool {
        type.hasSuffix(".tar") || type.hasSuffix(".tar+gzip") || type.hasSuffix(".tar.gzip")
    }

    /// A universal image's layers are those of its other half, whose files are below `models/`.
    private static func tarRoot(_ layer: Descriptor) -> String {
        let isOurs = layer.annotations.keys.contains { $0.hasPrefix("io.kapsule.file") }
        return isOurs ? "models" : ""
    }

    private static func file(_ layer: Descriptor, defaultName: String?, _ image: String) throws -> Content {
        let annotations = layer.annotations
        let named =
            annotations[ModelPackType.Annotation.path] ?? annotations[ModelPackType.Annotation.oldPath]
            ?? annotations["org.opencontainers.image.title"] ?? defaultName
        guard let named else {
            throw KapsuleError(
                .unverified, id: "layer.path", "layer \(layer.digest) of \(image) does not say which file it is",
                remedy: "build it again with a tool that writes \(ModelPackType.Annotation.path)")
        }
        do {
            var text = Substring(named)
            while text.hasPrefix("./") { text = text.dropFirst(2) }
            return .file(try BundlePath(validating: String(text)), isExecutable: isExecutable(annotations))
        } catch {
            throw KapsuleError(
                .unverified, id: "layer.path",
                "layer \(layer.digest) of \(image) is a file whose path '\(Printable.text(named.prefix(200)))' \(error.reason)",
                remedy: "do not use this image: no proper tool writes such a path")
        }
    }

    /// By the mode that modctl notes; without one, nothing is.
    private static func isExecutable(_ annotations: [String: String]) -> Bool {
        struct Metadata: Decodable { let mode: Int64? }
        guard let text = annotations[ModelPackType.Annotation.metadata], text.utf8.count <= 64 << 10,
            let metadata = try? decode(Metadata.self, from: Array(text.utf8), what: "metadata")
        else { return false }
        return (metadata.mode ?? 0) & 0o100 != 0
    }
}

extension MediaType {
    /// The type of what is inside an encrypted layer; any other type as it is.
    public static func plain(_ type: String) -> String {
        for suffix in ["+encrypted", "+enc"] where type.hasSuffix(suffix) { return String(type.dropLast(suffix.count)) }
        return type
    }
}
