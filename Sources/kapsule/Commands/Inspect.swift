internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import OCI
internal import Ollama

struct Inspect: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Say what an image is: sizes, digests, layers, labels.",
        discussion: """
            Nothing but manifests and configs is read; of an image file, its directories.

              kapsule inspect mistral:7b
              kapsule inspect oci:./layout
              kapsule inspect --json ghcr.io/acme/mistral:7b
              kapsule inspect model.mpk
            """)

    @Argument(
        help:
            "A name of the local store, oci:DIR[:TAG], oci-archive:FILE[:TAG], HOST/REPOSITORY:TAG, ollama:NAME, or an image file."
    )
    var what: String

    @Flag(help: "Print JSON.")
    var json = false

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
        if try !ImageArchive.isTar(what), let file = try ImageFile(what, proof, toolbox) {
            let inspection = try VerityInspection(file)
            return try toolbox.print(json ? inspection.json.pretty : inspection.text)
        }
        let locator = try ImageLocator(toolbox, registry)
        let image = try Image(
            try locator.origin(of: what, prefersStore: false), platform: platform.flatMap(Platform.init))
        if OllamaModel.isOllama(image.manifest.content) {
            let description = try OllamaDescription(image)
            return try toolbox.print(json ? description.json.pretty : description.text)
        }
        let description = try ImageDescription(image)
        try toolbox.print(json ? description.json.pretty : description.text)
    }
}
