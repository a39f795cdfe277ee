internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Ollama

struct Inspect: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Say what an image or a model file is: sizes, digests, layers, tensors.",
        discussion: """
            Nothing but manifests and configs is read; of an image file, its directories; of a model file, its header.

              kapsule inspect mistral:7b
              kapsule inspect oci:./layout
              kapsule inspect --json ghcr.io/acme/mistral:7b
              kapsule inspect model.mpk
              kapsule inspect model.gguf
            """)

    @Argument(
        help:
            "A name of the local store, oci:DIR[:TAG], oci-archive:FILE[:TAG], HOST/REPOSITORY:TAG, ollama:NAME, an image file, or a file of a model."
    )
    var what: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Read all of a model file, and print its SHA-256.")
    var digest = false

    @Flag(help: "List the tensors of a model file.")
    var tensors = false

    @Option(help: ArgumentHelp("The image of an index to show. Default: linux/amd64.", valueName: "os/arch"))
    var platform: String?

    @OptionGroup(title: "Image files") var proof: ProofFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if let platform, Platform(parsing: platform) == nil {
            throw ValidationError("'\(platform)' is no platform: write os/architecture, such as linux/arm64.")
        }
    }

    func run(in toolbox: Toolbox) async throws {
        if proof.isEmpty, let file = try ModelFileInspection(what, listsTensors: tensors) {
            let digest = try self.digest ? file.digest(toolbox.progress) : nil
            return try toolbox.print(json ? Printable.json(file.json(digest), pretty: true) : file.text(digest))
        }
        if digest || tensors {
            throw KapsuleError(
                .usage, id: "usage.inspect-file", "'\(what)' is no file of a model",
                remedy: "--digest and --tensors are for GGUF, safetensors and PyTorch files: leave them out")
        }
        if try !ImageArchive.isTar(what), let file = try ImageFile(what, proof, toolbox) {
            let inspection = try look(into: file)
            return try toolbox.print(json ? inspection.json.pretty : inspection.text)
        }
        let locator = try ImageLocator(toolbox, registry)
        try refuseMissingFile(locator)
        let image = try Image(
            try locator.origin(of: what, prefersStore: false), platform: platform.flatMap(Platform.init))
        if OllamaModel.isOllama(image.manifest.content) {
            let description = try OllamaDescription(image)
            return try toolbox.print(json ? description.json.pretty : description.text)
        }
        let referrers = try image.origin.reference.map { reference in
            try locator.registries.client(for: reference).referrers(of: image.root.digest)
        }
        let description = try ImageDescription(image, referrers: referrers)
        try toolbox.print(json ? description.json.pretty : description.text)
    }

    private func look(into file: ImageFile) throws -> VerityInspection {
        do {
            return try VerityInspection(file)
        } catch let error as KapsuleError where error.id == "erofs.none" && proof.isEmpty {
            throw KapsuleError(
                .usage, id: "inspect.unknown",
                "'\(Printable.text(what))' is neither a file of a model, as far as its content tells, nor an image or a disk",
                remedy:
                    "name a GGUF, safetensors or PyTorch file, a config or tokenizer, a verity image, or an image by its name"
            )
        }
    }

    /// A word that ends as files of models do was meant as one.
    private func refuseMissingFile(_ locator: ImageLocator) throws {
        let endings = [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".json", ".onnx", ".mpk", ".emwp", ".raw"]
        guard endings.contains(where: what.lowercased().hasSuffix), !what.contains(":"),
            try FileStatus.of(what, followsLinks: true) == nil, try !locator.hasStored(what)
        else { return }
        let directory = Paths.directory(of: what)
        let names = (try? Directories.names(in: directory)) ?? []
        let nearest = Suggestion.nearest(to: Paths.name(of: what), among: names)
        throw KapsuleError(
            .usage, id: "inspect.no-file", "there is no file '\(Printable.text(what))'",
            remedy: nearest.map { "did you mean \(directory == "." ? $0 : "\(directory)/\($0)")?" } ?? "check the path")
    }
}
