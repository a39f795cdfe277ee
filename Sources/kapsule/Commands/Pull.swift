internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
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
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if export.output == nil, export.format == .hf {
            throw ValidationError("--format hf needs a directory to write to: add --output DIR.")
        }
    }

    func run(in toolbox: Toolbox) async throws {
        let locator = try ImageLocator(toolbox, registry)
        let name = reference.hasPrefix("oci://") ? String(reference.dropFirst(6)) : reference
        let reference = try Reference(parsing: name)
        guard reference.host != nil else {
            throw KapsuleError(
                .usage, id: "reference.no-host", "'\(reference)' names no registry",
                remedy: "write HOST/REPOSITORY:TAG, for example docker.io/library/\(reference)")
        }
        let image = try export.image(try locator.registry(reference))
        let use = try locator.store.use()
        let writer = ImageWriter(
            export, locator, toolbox, keyring: try decryption.keyring(vault, in: toolbox), recipients: [])
        let digest = try await writer.write(image, named: [reference])
        withExtendedLifetime(use) {}
        try toolbox.print(reference.pinned(to: digest).description)
    }
}

struct Export: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Write an image of the local store, or of a layout, to a directory.",
        discussion: """
              kapsule export mistral:7b -o ./mistral --format hf
              kapsule export oci:./layout:7b -o ./copy
              kapsule export model.mpk -o ./mistral --format hf --root-hash ROOTHASH_OFFSET_UUID
            """)

    @Argument(help: "A name of the local store, oci:DIR[:TAG], or an image file.")
    var source: String

    @OptionGroup(title: "Writing") var export: ExportOptions
    @OptionGroup(title: "Image files") var proof: ProofFlags
    @OptionGroup(title: "Encryption") var encryption: EncryptionFlags
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if export.output == nil { throw ValidationError("Say where to write: --output DIR.") }
        if export.format == .hf, !encryption.keys.isEmpty {
            throw ValidationError(
                "--format hf writes plain files, which cannot be encrypted: leave out --encryption-key.")
        }
    }

    func run(in toolbox: Toolbox) async throws {
        if let file = try ImageFile(source, proof, toolbox) { return try toolbox.print(await file.export(export)) }
        let locator = try ImageLocator(toolbox, RegistryFlags.parse([]))
        let use = try locator.store.use()
        let origin = try locator.origin(of: source, prefersStore: true)
        let image = try export.image(origin)
        let names = source.hasPrefix("oci:") || Digest(parsing: source) != nil ? [] : [try Reference(parsing: source)]
        let writer = ImageWriter(
            export, locator, toolbox, keyring: try decryption.keyring(vault, in: toolbox),
            recipients: try encryption.recipients(toolbox.environment, nil))
        let digest = try await writer.write(image, named: names)
        withExtendedLifetime(use) {}
        try toolbox.print("\(export.output ?? "")@\(digest)")
    }
}
