internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Ollama
internal import Store

struct Pull: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Fetch an image from a registry.",
        discussion: """
            Without --output it goes into the local store. Every byte is verified before it gets its name.

              kapsule pull ghcr.io/acme/mistral:7b
              kapsule pull --format hf -o ./mistral ghcr.io/acme/mistral:7b
              kapsule pull --format hf -o ./mistral --decryption-key private.pem ghcr.io/acme/mistral:7b
            """)

    @Argument(help: "HOST/REPOSITORY[:TAG][@sha256:…]")
    var reference: String

    @OptionGroup(title: "Writing") var export: ExportOptions
    @OptionGroup(title: "Verity images") var shape: VerityShapeFlags
    @OptionGroup(title: "Verity images") var identity: VerityIdentityFlags
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        _ = try verity
        if export.output == nil, export.format.needsOutput {
            throw ValidationError(
                "--format \(export.format.defaultValueDescription) needs a directory to write to: add --output DIR.")
        }
    }

    private var verity: VerityFlags {
        get throws { try shape.flags(for: export.format, modelID: identity.modelID, keyFile: identity.keyFile) }
    }

    func run(in toolbox: Toolbox) async throws {
        let locator = try ImageLocator(toolbox, registry)
        if let name = OllamaLocator.name(in: reference) {
            return try await pull(try OllamaName(parsing: name), locator)
        }
        let name = reference.hasPrefix("oci://") ? String(reference.dropFirst(6)) : reference
        let reference = try Reference(parsing: name)
        guard reference.host != nil else {
            throw KapsuleError(
                .usage, id: "reference.no-host", "'\(reference)' names no registry",
                remedy: "write HOST/REPOSITORY:TAG, for example docker.io/library/\(reference)")
        }
        try await pull(try locator.registry(reference), as: reference, text: "oci://\(reference)", locator)
    }

    /// From the registry, whatever Ollama's store on this machine has.
    private func pull(_ name: OllamaName, _ locator: ImageLocator) async throws {
        // What has no place for names takes one that no image could have.
        let reference = export.builtOutput == nil ? try Reference(parsing: name.reference.description) : name.reference
        try await pull(try locator.ollama.remote(name), as: reference, text: "ollama://\(name.short)", locator)
    }

    private func pull(
        _ origin: any ImageOrigin, as reference: Reference, text: String, _ locator: ImageLocator
    ) async throws {
        let toolbox = locator.toolbox
        let image = try export.image(origin)
        let use = try locator.store.use()
        if let output = export.builtOutput(of: image) {
            let rebuild = ImageRebuild(
                given: GivenImage(image: image, text: text), names: [reference], options: export,
                output: output.named(OllamaLocator.name(in: text)), registry: registry, encryption: try .parse([]),
                decryption: decryption, vault: vault,
                verity: try verity)
            for line in try await rebuild.run(in: toolbox) { try toolbox.print(line) }
            return withExtendedLifetime(use) {}
        }
        let writer = ImageWriter(
            export, locator, toolbox, keyring: try decryption.keyring(vault, in: toolbox), recipients: [])
        let digest = try await writer.write(image, named: [reference])
        withExtendedLifetime(use) {}
        try toolbox.print(reference.pinned(to: digest).description)
    }
}

struct Export: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Write an image of the local store, of a layout or of an archive, in another format.",
        discussion: """
              kapsule export mistral:7b -o ./mistral --format hf
              kapsule export oci:./layout:7b -o ./copy
              kapsule export mistral:7b -o mistral.oci.tar
              kapsule export mistral:7b -o ./verity --format verity
              kapsule export model.mpk -o ./mistral --format hf --root-hash ROOTHASH_OFFSET_UUID
            """)

    @Argument(help: "A name of the local store, oci:DIR[:TAG], oci-archive:FILE[:TAG], or an image file.")
    var source: String

    @OptionGroup(title: "Writing") var export: ExportOptions
    @OptionGroup(title: "Verity images") var shape: VerityShapeFlags
    @OptionGroup(title: "Image files") var proof: ProofFlags
    @OptionGroup(title: "Encryption") var encryption: EncryptionFlags
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if export.output == nil, export.format == .copy || export.format.needsOutput {
            throw ValidationError("Say where to write: --output DIR.")
        }
        if export.format == .files, !encryption.keys.isEmpty {
            throw ValidationError(
                "--format hf writes plain files, which cannot be encrypted: leave out --encryption-key.")
        }
        if export.builtOutput != nil { _ = try verity }
    }

    private var verity: VerityFlags {
        get throws { try shape.flags(for: export.format, modelID: proof.modelID, keyFile: proof.keyFile) }
    }

    func run(in toolbox: Toolbox) async throws {
        let isFile = try FileStatus.of(source, followsLinks: true)?.kind == .regular
        let isArchive = try ImageArchive.isTar(source)
        if !isArchive, isFile || export.builtOutput == nil, let file = try ImageFile(source, proof, toolbox) {
            return try toolbox.print(await file.export(export))
        }
        let locator = try ImageLocator(toolbox, RegistryFlags.parse([]))
        let use = try locator.store.use()
        let origin = try locator.origin(of: source, prefersStore: true)
        let image = try export.image(origin)
        let names = try names()
        if let output = export.builtOutput(of: image) {
            let rebuild = ImageRebuild(
                given: GivenImage(image: image, text: source), names: names, options: export,
                output: output.named(OllamaLocator.name(in: source)),
                registry: try .parse([]), encryption: encryption, decryption: decryption, vault: vault,
                verity: try verity)
            for line in try await rebuild.run(in: toolbox) { try toolbox.print(line) }
            return withExtendedLifetime(use) {}
        }
        let writer = ImageWriter(
            export, locator, toolbox, keyring: try decryption.keyring(vault, in: toolbox),
            recipients: try encryption.recipients(toolbox.environment, nil))
        let tag = try ImageLocator.isPlace(source) ? origin.tag : nil
        let digest = try await writer.write(image, named: names, tags: tag.map { [$0] } ?? [])
        withExtendedLifetime(use) {}
        try toolbox.print("\(export.output ?? "")@\(digest)")
    }

    /// What the image is called at its destination; nothing where the source has no name that an image could have.
    private func names() throws -> [Reference] {
        let isPlace = try ImageLocator.isPlace(source) || OllamaLocator.name(in: source) != nil
        return isPlace || Digest(parsing: source) != nil ? [] : [try Reference(parsing: source)]
    }
}
