internal import ArgumentParser
internal import Encryption
internal import Exporters
internal import KapsuleCore
internal import ModelfileParser
internal import OCI
internal import Ollama
internal import Store

struct Push: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Send an image of the local store, of a layout, of an archive or of Ollama's store to a registry.",
        discussion: """
            Blobs that the registry has are not sent again.

              kapsule push mistral:7b ghcr.io/acme/mistral:7b
              kapsule push oci:./layout:7b localhost:5000/mistral:7b
              kapsule push ollama:llama3.2 localhost:5000/library/llama3.2:latest
              kapsule push --format ollama mistral:7b localhost:5000/library/mistral:7b
            """)

    @Argument(help: "A name of the local store, oci:DIR[:TAG], oci-archive:FILE[:TAG], or ollama:NAME.")
    var source: String

    @Argument(help: "HOST/REPOSITORY[:TAG]; without it, SRC names the registry too.")
    var reference: String?

    @Option(
        help: ArgumentHelp(
            "What it is made into on the way: oci, modelpack, universal or ollama. Default: it goes as it is.",
            valueName: "format"))
    var format: ImageShape?

    @Option(help: ArgumentHelp("Blobs that move at one time.", valueName: "n"))
    var concurrency = Limits.concurrency

    @Flag(help: "Replace a tag that names another image.")
    var force = false

    @OptionGroup(title: "Encryption") var encryption: EncryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws { try CommonChecks.concurrency(concurrency) }

    func run(in toolbox: Toolbox) async throws {
        let locator = try ImageLocator(toolbox, registry)
        let target = try reference.map { try Reference(parsing: $0) } ?? Self.target(namedBy: source)
        guard target.host != nil else {
            throw KapsuleError(
                .usage, id: "reference.no-host", "'\(target)' names no registry",
                remedy: "write HOST/REPOSITORY:TAG, for example ghcr.io/you/\(target)")
        }
        guard target.digest == nil else {
            throw KapsuleError(
                .usage, id: "reference.digest", "'\(target)' has a digest, and what is pushed has its own",
                remedy: "leave out the part from @ on")
        }
        let use = try locator.store.use()
        let image = try Image(try locator.origin(of: source, prefersStore: true))
        if let format, format != ImageShape(of: image) {
            for line in try await rebuild(image, format, target).run(in: toolbox) { try toolbox.print(line) }
            return withExtendedLifetime(use) {}
        }
        let client = try locator.registries.client(for: target, access: .push)
        let destination = RegistryDestination(
            client, tags: target.tag.map { [$0] } ?? [], siblings: try locator.siblings(of: target, in: image),
            spoolDirectory: toolbox.temporaryDirectory)
        let recipients = RecipientSet(
            try encryption.recipients(toolbox.environment, try vault.transit(in: toolbox)))
        let digest = try await ImageCopier(
            concurrency: concurrency, recipients: recipients, progress: toolbox.progress
        ).copy(image, to: destination, replaces: force)
        withExtendedLifetime(use) {}
        try toolbox.print(target.pinned(to: digest).description)
    }

    /// The build that makes another form of the image on its way.
    private func rebuild(_ image: Image, _ format: ImageShape, _ target: Reference) throws -> ImageRebuild {
        guard !image.blobs.contains(where: { MediaType.isEncrypted($0.mediaType) }) else {
            throw KapsuleError(
                .usage, id: "usage.push-encrypted",
                "\(image.origin.name) is encrypted, and --format \(format.rawValue) makes it anew",
                remedy: "decrypt it first: kapsule export \(source) --decryption-key KEY -o DIR, then push oci:DIR")
        }
        var options = try ExportOptions.parse([])
        options.concurrency = concurrency
        options.force = force
        return ImageRebuild(
            given: GivenImage(image: image, text: source), names: [target], options: options,
            output: OutputSpec(.registry, to: nil).shaped(format), registry: registry, encryption: encryption,
            decryption: try .parse([]), vault: vault, encryptsWithVault: true, verity: try .parse([]))
    }

    /// The registry that the source itself names.
    private static func target(namedBy source: String) throws -> Reference {
        guard let text = OllamaLocator.name(in: source) else { return try Reference(parsing: source) }
        let name = try OllamaName(parsing: text)
        guard !name.isOfOllamasRegistry else {
            throw KapsuleError(
                .usage, id: "ollama.push",
                "'\(name.short)' is a name of Ollama's own registry, which knows people by a key of Ollama's",
                remedy:
                    "use 'ollama push \(name.short)', or name a registry: kapsule push \(source) HOST/NAMESPACE/MODEL:TAG"
            )
        }
        return try Reference(parsing: name.reference.description)
    }
}

extension ImageShape {
    /// What an image is already; nil for what kapsule reads and makes none of.
    init?(of image: Image) {
        let manifest = image.manifest.content
        if image.children.contains(where: { $0.descriptor.artifactType == ModelPackType.artifact }) {
            self = .universal
        } else if OllamaModel.isOllama(manifest) {
            self = .ollama
        } else {
            switch ModelArtifact(manifest) {
            case .image: self = .oci
            case .modelPack: self = .modelPack
            case .dockerModel, .kitOps, .kapsule2024: return nil
            }
        }
    }
}
