internal import Formats
internal import KapsuleCore
internal import OCI

/// How the files of a ModelPack are stored.
public enum ModelPackForm: String, Sendable, CaseIterable {
    /// Each as it is: its blob's digest is the file's own.
    case raw
    /// Each in a tar archive.
    case tar
}

/// What a file is in a ModelPack.
struct ModelPackClass: Hashable {
    let kind: ModelPackType.Kind
    /// Whether the kind is a guess.
    let isGuess: Bool

    /// Files of no known kind from this size on are taken for weights, in bytes. Source: modctl, `modelfile generate`.
    private static let largestCode: Int64 = 128 << 20

    init(_ path: BundlePath, _ role: ModelBundle.Role, size: Int64) {
        isGuess = role == .other && Self.known(path) == nil
        switch role {
        case .weights, .adapter, .projector: kind = path.name.hasSuffix(".json") ? .weightConfig : .weight
        case .tokenizer, .config, .template: kind = .weightConfig
        case .license: kind = .doc
        case .other: kind = Self.known(path) ?? (size > Self.largestCode ? .weight : .code)
        }
    }

    private static func known(_ path: BundlePath) -> ModelPackType.Kind? {
        let name = path.name.lowercased()
        func ends(_ suffixes: String...) -> Bool { suffixes.contains(where: name.hasSuffix) }
        if name.hasPrefix("readme") || ends(".md", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".html") {
            return .doc
        }
        if ends(".py", ".sh", ".ipynb", ".cpp", ".c", ".h", ".js", ".ts") { return .code }
        if ends(".model", ".txt", ".toml", ".ini", ".xml", ".vocab") { return .weightConfig }
        return nil
    }

    /// Layers lie in this order, and by path within one kind. Source: modctl v0.2.2.
    var order: Int {
        switch kind {
        case .weightConfig: 0
        case .weight: 1
        case .code: 2
        case .doc: 3
        case .dataset: 4
        }
    }
}

/// One file of a ModelPack: a layer.
struct ModelPackFile {
    let path: BundlePath
    let isExecutable: Bool
    /// In bytes.
    let size: Int64
    let type: ModelPackClass
    /// Its archive; nil where it is stored as it is.
    let tar: TarLayout?

    init(_ path: BundlePath, _ role: ModelBundle.Role, isExecutable: Bool, size: Int64, _ form: ModelPackForm) {
        self.path = path
        self.isExecutable = isExecutable
        self.size = size
        type = ModelPackClass(path, role, size: size)
        tar = form == .raw ? nil : TarLayout([.file(path.text, size: size, isExecutable: isExecutable)])
    }

    /// Length of what is stored before it is compressed, in bytes.
    var layerSize: Int64 { tar?.size ?? size }

    /// Where the file's first byte is in it.
    var contentOffset: Int64 { tar?.slots[0].contentOffset ?? 0 }

    /// - Parameter isGzipped: of an archive.
    func mediaType(isGzipped: Bool) -> String {
        ModelPackType.layer(type.kind, tar == nil ? "raw" : isGzipped ? "tar+gzip" : "tar")
    }

    /// As modctl writes them; the times of files are nobody's business. Other tools go by the title.
    func annotations(time: String) -> [String: String] {
        var annotations = Self.annotations(
            of: path.text, isExecutable: isExecutable, size: size, time: time, isGuess: type.isGuess)
        if tar == nil { annotations["org.opencontainers.image.title"] = path.text }
        return annotations
    }

    static func annotations(
        of path: String, isExecutable: Bool, size: Int64, time: String, isGuess: Bool
    ) -> [String: String] {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let metadata = JSON.members([
            "name": .string(name), "mode": .int(isExecutable ? 0o755 : 0o644), "uid": 0, "gid": 0, "size": .int(size),
            "mtime": .string(time), "typeflag": 0,
        ])
        return [
            ModelPackType.Annotation.path: path, ModelPackType.Annotation.metadata: metadata.compact,
            ModelPackType.Annotation.untested: isGuess ? "true" : "false",
        ]
    }
}
