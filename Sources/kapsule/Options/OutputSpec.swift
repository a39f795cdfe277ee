internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Store

/// One `--output`: a directory, or `type=verity,dest=PATH`.
struct OutputSpec: ExpressibleByArgument, Hashable {
    enum Kind: String, CaseIterable {
        /// An OCI layout in a directory.
        case oci
        /// An OCI layout in a tar file.
        case archive = "oci-archive"
        /// The tags that have a registry's host.
        case registry
        /// The local store.
        case store
        /// An EROFS image with its hash tree, in a directory.
        case verity
        /// Such an image in an encrypted disk, in a directory.
        case emwp
        /// A disk with such an image and its hash tree in two partitions, in a directory.
        case repart
        /// The model's files, in a directory.
        case hf
        /// The same, of a model with PyTorch's weights, and without weights in other formats.
        case pytorch
        /// A model in a directory of Ollama's: the one named, else the one that Ollama uses.
        case ollama
        /// Such files as a cache of the hub has them.
        case hubCache = "hf-cache"

        /// A ModelPack, in a layout.
        case modelPack = "modelpack"
        /// An image and a ModelPack of the same layers, in a layout.
        case universal

        /// What an image there is, where the name of the output says so.
        var shape: ImageShape? {
            switch self {
            case .modelPack: .modelPack
            case .universal: .universal
            default: nil
            }
        }

        /// Whether it is a layout in a directory.
        var isLayout: Bool { self == .oci || self == .modelPack || self == .universal }

        /// A layout whose name ends in `.tar` is an archive, as buildx has it, unless a directory is called so.
        func forDestination(_ path: String?) -> Kind {
            guard isLayout, let path, path.hasSuffix(".tar") else { return self }
            let isDirectory = (try? FileStatus.of(path, followsLinks: true))?.kind == .directory
            return isDirectory ? self : .archive
        }

        /// Whether it goes to a directory, which has to be named.
        var needsDestination: Bool {
            switch self {
            case .oci, .modelPack, .universal, .archive, .verity, .emwp, .repart, .hf, .pytorch: true
            case .registry, .store, .ollama, .hubCache: false
            }
        }

        /// Keys that it knows, beside `type`.
        fileprivate var keys: Set<Substring> {
            switch self {
            case .oci, .modelPack, .universal, .archive: ["dest", "format", "layout"]
            case .verity, .emwp, .repart, .hf, .pytorch: ["dest"]
            case .registry, .store: ["format", "layout"]
            case .ollama: ["dest", "name"]
            case .hubCache: ["dest", "ref"]
            }
        }

        /// Whether nothing else goes to its directory.
        var wantsDirectoryAlone: Bool {
            switch self {
            case .oci, .modelPack, .universal, .archive, .hf, .pytorch, .ollama: true
            case .verity, .emwp, .repart, .registry, .store, .hubCache: false
            }
        }

        /// Whether it is an image with tags.
        var isImage: Bool {
            switch self {
            case .oci, .modelPack, .universal, .archive, .registry, .store: true
            case .verity, .emwp, .repart, .hf, .pytorch, .ollama, .hubCache: false
            }
        }

        /// Whether tags say what it is called.
        var takesTags: Bool { isImage || self == .ollama }
    }

    /// Nil where `--format` decides.
    let kind: Kind?
    let destination: String?
    /// What it is called, where that is not for the tags to say.
    let name: String?
    /// With `hf-cache`: a branch or a tag that is to lead to the commit.
    let ref: String?
    /// What the image there is; nil where `--format` decides.
    var shape: ImageShape?
    /// How the files of a ModelPack are stored; nil for the usual way.
    var form: ModelPackForm?

    init?(argument text: String) {
        guard text.hasPrefix("type=") || text.contains(",dest=") else {
            guard !text.isEmpty else { return nil }
            (kind, destination, name, ref) = (nil, text, nil, nil)
            return
        }
        var values: [Substring: Substring] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[1].isEmpty, values[pair[0]] == nil else { return nil }
            values[pair[0]] = pair[1]
        }
        guard let type = values.removeValue(forKey: "type"), let kind = Kind(rawValue: String(type)),
            kind.keys.isSuperset(of: values.keys), !kind.needsDestination || values["dest"] != nil
        else { return nil }
        destination = values["dest"].map(String.init)
        self.kind = kind.forDestination(destination)
        name = values["name"].map(String.init)
        ref = values["ref"].map(String.init)
        shape = kind.shape
        if let format = values["format"] {
            guard let asked = ImageShape(rawValue: String(format)), (shape ?? asked) == asked else { return nil }
            shape = asked
        }
        if let layout = values["layout"] {
            guard let asked = ModelPackForm(rawValue: String(layout)) else { return nil }
            form = asked
        }
    }

    init(_ kind: Kind, to destination: String?, name: String? = nil) {
        self.kind = kind
        self.destination = destination
        self.name = name
        ref = nil
        shape = kind.shape
    }

    /// The same, as images of this shape, where it does not say which.
    func shaped(_ shape: ImageShape?) -> OutputSpec {
        guard self.shape == nil, kind?.isImage == true else { return self }
        var spec = self
        spec.shape = shape
        return spec
    }

    /// The same, with a name for a model of Ollama's that has none yet.
    ///
    /// - Parameter name: `NAME` or `NAME@sha256:…`.
    func named(_ name: String?) -> OutputSpec {
        guard kind == .ollama, self.name == nil, let name = name?.split(separator: "@").first else { return self }
        return OutputSpec(.ollama, to: destination, name: String(name))
    }

    /// - Throws: `.usage` where a way of storing files was named for what is no ModelPack.
    func check() throws {
        guard form == nil || shape == .modelPack else {
            throw KapsuleError(
                .usage, id: "usage.layout", "layout=\(form?.rawValue ?? "") is how a ModelPack stores its files",
                remedy: "leave it out, or add format=modelpack")
        }
    }

    /// Whether it is a model in Ollama's form, wherever that goes.
    var isOllamas: Bool { kind == .ollama || shape == .ollama }

    static let defaultValueDescription = "type=oci,dest=DIR"
}

/// What an image is.
enum ImageShape: String, ExpressibleByArgument, CaseIterable {
    /// Tar layers that a runtime mounts.
    case oci
    /// A layer for each file.
    case modelPack = "modelpack"
    /// Both, over the same tar layers.
    case universal
    /// A layer for each GGUF file, as Ollama has them.
    case ollama
}
