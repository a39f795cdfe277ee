internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Store

struct Verify: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Read every byte of an image, and check that it is what its names say.",
        discussion: """
            Without an argument all of the local store is checked; of a layout or an archive without a tag, every image.

              kapsule verify
              kapsule verify mistral:7b
              kapsule verify oci:./layout
              kapsule verify model.oci.tar
              kapsule verify ./mistral --against ghcr.io/acme/mistral:7b
              kapsule verify ollama:
              kapsule verify model.mpk --root-hash ROOTHASH_OFFSET_UUID --model-id NAME@REVISION
              kapsule verify model.emwp --root-hash ROOTHASH_OFFSET_UUID --key-file KEY

            With --against, a directory is compared with the model in an image: missing, extra and changed files are listed.

            A verity image or a disk is checked against its root hash, and nothing in it is believed. Without --root-hash,
            that is taken from the file beside it.
            """)

    @Argument(
        help:
            "A name of the local store, oci:DIR[:TAG], oci-archive:FILE[:TAG], HOST/REPOSITORY:TAG, ollama:NAME, an image file, or a directory of Ollama's; nothing for the whole store."
    )
    var what: String?

    @Option(help: ArgumentHelp("Blobs that are read at one time.", valueName: "n"))
    var concurrency = Limits.concurrency

    @Option(help: ArgumentHelp("The image that the directory was made of.", valueName: "image"))
    var against: String?

    @Option(help: ArgumentHelp("With --against: what 'pull --include' took; repeatable.", valueName: "glob"))
    var include: [String] = []

    @Option(help: ArgumentHelp("With --against: what 'pull --exclude' left out; repeatable.", valueName: "glob"))
    var exclude: [String] = []

    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Image files") var proof: ProofFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        try CommonChecks.concurrency(concurrency)
        if against != nil, what == nil { throw ValidationError("Say which directory is compared with the image.") }
        if against == nil, !decryption.keys.isEmpty || vault.key != nil {
            throw ValidationError("Keys are for --against: an encrypted image is checked without them.")
        }
        if against == nil, !(include + exclude).isEmpty {
            throw ValidationError("--include and --exclude are for --against: an image is checked as a whole.")
        }
        try CommonChecks.patterns(include + exclude)
    }

    func run(in toolbox: Toolbox) async throws {
        guard let what else { return try await verifyStore(toolbox) }
        if let against { return try await compare(what, with: against, toolbox) }
        if try !ImageArchive.isTar(what), let file = try ImageFile(what, proof, toolbox) {
            return try toolbox.print(await file.check())
        }
        if let store = try OllamaStoreCheck.store(what, toolbox.environment) {
            let check = OllamaStoreCheck(store: store, concurrency: concurrency, toolbox: toolbox)
            return try toolbox.print(await check.run())
        }
        let locator = try ImageLocator(toolbox, registry)
        if let place = try locator.place(what) {
            return try await toolbox.print(place.check(concurrency: concurrency, progress: toolbox.progress))
        }
        let image = try Image(try locator.origin(of: what, prefersStore: false))
        try await BlobCheck(concurrency: concurrency, progress: toolbox.progress).check(image)
        try toolbox.print("\(image.origin.name): \(image.root.digest) is whole, \(image.blobs.count) blobs")
    }

    private func compare(_ directory: String, with text: String, _ toolbox: Toolbox) async throws {
        guard try FileStatus.of(directory, followsLinks: true)?.kind == .directory else {
            throw KapsuleError(
                .usage, id: "verify.no-directory", "\(directory) is no directory to compare with \(text)",
                remedy: "name the directory that 'kapsule pull --format hf' or 'kapsule export --format hf' wrote")
        }
        let locator = try ImageLocator(toolbox, registry)
        let use = try locator.store.use()
        let isStored = try locator.hasStored(text)
        let image = try Image(try locator.origin(of: text, prefersStore: isStored))
        var model = try ModelOptions.parse([])
        (model.include, model.exclude) = (include, exclude)
        var settings = BuildSettings(
            model: model, registry: registry, tags: [], outputs: [], verity: try .parse([]),
            encryption: try .parse([]), decryption: decryption, vault: vault)
        settings.image = GivenImage(image: image, text: text)
        let bundle = try Workshop(settings, toolbox).resolved()
        let comparison = DirectoryComparison(
            directory: directory, bundle: bundle, needsModelfile: include.isEmpty && exclude.isEmpty,
            concurrency: concurrency, progress: toolbox.progress)
        let (differences, count) = try await comparison.run()
        withExtendedLifetime(use) {}
        guard !differences.isEmpty else {
            return try toolbox.print(
                "\(directory): \(count) files are those of \(text), \(image.root.digest)")
        }
        for difference in differences {
            try toolbox.print("\(difference.difference.rawValue): \(Printable.text(difference.path))")
        }
        throw KapsuleError(
            .unverified, id: "verify.differs",
            "\(directory) is not what \(text) holds: \(differences.count) files differ",
            remedy: "write it again with 'kapsule export \(text) --format hf --force', and remove what is extra")
    }

    private func verifyStore(_ toolbox: Toolbox) async throws {
        let store = try toolbox.store()
        let findings = try await store.verify(threads: concurrency)
        for finding in findings { toolbox.note(finding.text) }
        let damage = findings.filter(\.isFatal)
        guard let first = damage.first else {
            return try toolbox.print("\(store.layout.path): \(try store.images().count) images are whole")
        }
        throw KapsuleError(
            .unverified, id: "store.damaged",
            damage.count == 1
                ? first.text : "\(damage.count) things in the local store are damaged; the first: \(first.text)",
            remedy: "remove the images named with 'kapsule rm', run 'kapsule prune', and build or pull them again")
    }
}
