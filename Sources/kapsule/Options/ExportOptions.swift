internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Ollama

/// How an image is written: what pull and export share.
struct ExportOptions: ParsableArguments {
    @Option(name: [.short, .long], help: ArgumentHelp("The directory, or FILE.tar, to write to.", valueName: "path"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            "oci or oci-archive, the image as it is; hf, the model's files as vLLM and transformers read them; or another format of build.",
            valueName: "format"))
    var format = ExportFormat.copy

    @Option(help: ArgumentHelp("What the model is called, with --format ollama.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Take only files that match; layers without any are not fetched.", valueName: "glob"))
    var include: [String] = []

    @Option(help: ArgumentHelp("Leave out files that match.", valueName: "glob"))
    var exclude: [String] = []

    @Flag(inversion: .prefixedNo, help: "Unpack gzipped layers of a layout (with --format oci).")
    var unzip = false

    @Option(
        help: ArgumentHelp(
            "The image of an index to take. Default: all for a layout, linux/amd64 for files.", valueName: "os/arch"))
    var platform: String?

    @Option(help: ArgumentHelp("Blobs that move at one time.", valueName: "n"))
    var concurrency = Limits.concurrency

    @Flag(help: "Replace what is there and differs.")
    var force = false

    /// What is written: all of an index, or the one image of it that `--platform` names.
    func image(_ origin: any ImageOrigin) throws -> Image {
        guard let platform = platform.flatMap(Platform.init) else { return try Image(origin) }
        return try Image(origin, platform: platform).withoutIndex
    }

    /// The output of the build that makes it; nil for what takes no build.
    var builtOutput: OutputSpec? {
        guard case .built(let format) = format else { return nil }
        guard format.kind.isLayout else {
            return OutputSpec(format.kind, to: output, name: format == .ollama ? name : nil)
        }
        let kind = output == nil ? .store : format.kind.forDestination(output)
        return OutputSpec(kind, to: output).shaped(format.kind.shape)
    }

    /// The same, now that it is known what the image is: Ollama's have no archives to take files out of.
    func builtOutput(of image: Image) -> OutputSpec? {
        let isOfFiles = if case .image = ModelArtifact(image.manifest.content) { false } else { true }
        let isArchived = !isOfFiles && !OllamaModel.isOllama(image.manifest.content)
        return format == .files && !isArchived ? OutputSpec(.hf, to: output) : builtOutput
    }

    func validate() throws {
        try CommonChecks.concurrency(concurrency)
        if let platform, Platform(parsing: platform) == nil {
            throw ValidationError("'\(platform)' is no platform: write os/architecture, such as linux/arm64.")
        }
        try CommonChecks.patterns(exclude + include)
        if name != nil, format != .built(.ollama) {
            throw ValidationError("--name is what a model is called in Ollama's store: it goes with --format ollama.")
        }
        let isCopy = format == .copy || format == .archive
        if unzip, !isCopy {
            throw ValidationError("--unzip is about the layers of an image: it goes with --format oci.")
        }
        if isCopy, !(include.isEmpty && exclude.isEmpty) {
            throw ValidationError(
                "--include and --exclude choose files, and a layout has whole layers: use --format hf.")
        }
    }
}

/// `--format` of pull and export.
enum ExportFormat: ExpressibleByArgument, Hashable {
    /// `oci`: the image as it is.
    case copy
    /// `oci-archive`: the image as it is, in a tar file.
    case archive
    /// `hf`: the files of the model.
    case files
    /// What a build makes, of the model in the image.
    case built(BuildFormat)

    init?(argument: String) {
        switch argument {
        case "oci": self = .copy
        case BuildFormat.archive.rawValue: self = .archive
        case "hf": self = .files
        default:
            guard let format = BuildFormat(rawValue: argument) else { return nil }
            self = .built(format)
        }
    }

    static var allValueStrings: [String] {
        let built = BuildFormat.allCases.map(\.rawValue)
        return ["oci", "hf"] + built.filter { !["oci", "hf"].contains($0) }
    }

    /// Whether it is files in a place that has to be named.
    var needsOutput: Bool {
        switch self {
        case .copy: false
        case .archive, .files: true
        case .built(let format): format.kind.needsDestination && !format.kind.isLayout
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .copy: "oci"
        case .archive: BuildFormat.archive.rawValue
        case .files: "hf"
        case .built(let format): format.rawValue
        }
    }
}
