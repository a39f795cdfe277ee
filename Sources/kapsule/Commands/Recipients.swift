internal import ArgumentParser
internal import Encryption
internal import Exporters
internal import KapsuleCore
internal import OCI
internal import Store

struct Recipients: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say, and change, who can decrypt an image.",
        discussion: "Only annotations are rewritten: no layer is read or moved.",
        subcommands: [RecipientsList.self, RecipientsAdd.self, RecipientsRemove.self])
}

struct RecipientsList: Verb {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List who can decrypt each layer.")

    @Argument(help: "A name of the local store, oci:DIR[:TAG], oci-archive:FILE[:TAG], or HOST/REPOSITORY:TAG.")
    var image: String

    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let image = try Image(try ImageLocator(toolbox, registry).origin(of: image, prefersStore: false))
        var table = TextTable(.right("LAYER"), .right("#"), .left("RECIPIENT"))
        for (index, layer) in image.manifest.content.layers.enumerated() where MediaType.isEncrypted(layer.mediaType) {
            let names = try LayerRecipients(layer.annotations, what: "layer \(layer.digest.short)").names
            for (number, name) in names.enumerated() {
                table.add(number == 0 ? "\(index + 1)" : "", "\(number + 1)", name)
            }
        }
        let text = table.rendered()
        try toolbox.write(text.isEmpty ? "\(image.origin.name) is not encrypted\n" : text)
    }
}

struct RecipientsAdd: Verb {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Let somebody else decrypt an image, too.",
        discussion: """
              kapsule recipients add ghcr.io/acme/m:1 --decryption-key mine.pem --encryption-key theirs.pub.pem
            """)

    @Argument(help: "A name of the local store, oci:DIR[:TAG], or HOST/REPOSITORY:TAG.")
    var image: String

    @OptionGroup(title: "Encryption") var encryption: EncryptionFlags
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if encryption.keys.isEmpty { throw ValidationError("Say who is added: --encryption-key KEY.") }
    }

    func run(in toolbox: Toolbox) async throws {
        let keyring = try decryption.keyring(vault, in: toolbox)
        let recipients = RecipientSet(try encryption.recipients(toolbox.environment, nil))
        try RecipientsChange(reference: image, locator: ImageLocator(toolbox, registry)).run { layer, what in
            let unlocked = try keyring.unlock(layer.annotations, what: what)
            return try recipients?.added(to: layer.annotations, unlocked) ?? layer.annotations
        }
    }
}

struct RecipientsRemove: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take somebody off the list of those who can decrypt an image.",
        discussion: """
            Whoever has fetched the image before can still decrypt it: to lock somebody out, encrypt it anew.

              kapsule recipients rm ghcr.io/acme/m:1 2
            """)

    @Argument(help: "A name of the local store, oci:DIR[:TAG], or HOST/REPOSITORY:TAG.")
    var image: String

    @Argument(help: "The recipient's number, as 'kapsule recipients ls' shows it; the same in every layer.")
    var number: Int

    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let change = RecipientsChange(reference: image, locator: try ImageLocator(toolbox, registry))
        try change.checkAlike()
        try change.run { layer, what in
            try LayerAnnotations.removing(number - 1, from: layer.annotations, what: what)
        }
        toolbox.note("whoever has fetched the image before can still decrypt it")
    }
}

/// Rewrites the annotations of an image's encrypted layers, and its name.
struct RecipientsChange {
    let reference: String
    let locator: ImageLocator

    private func open() throws -> Image { try Image(try locator.origin(of: reference, prefersStore: false)) }

    private func encrypted(_ image: Image) throws -> [Descriptor] {
        let layers = image.children.flatMap(\.manifest.content.layers).filter { MediaType.isEncrypted($0.mediaType) }
        guard !layers.isEmpty else {
            throw KapsuleError(
                .usage, id: "recipients.plain", "\(image.origin.name) is not encrypted",
                remedy: "encrypt it: kapsule push SRC REF --encryption-key KEY")
        }
        return layers
    }

    /// - Throws: `.usage` when a number would mean different recipients in different layers.
    func checkAlike() throws {
        let lists = try encrypted(open()).map { try LayerRecipients($0.annotations, what: "layer \($0.digest.short)") }
        guard Set(lists).count == 1 else {
            throw KapsuleError(
                .usage, id: "recipients.differ", "the layers of \(reference) have different recipients",
                remedy: "see 'kapsule recipients ls \(reference)'; encrypt the image anew for those who are to stay")
        }
    }

    /// - Parameter change: gives the new annotations of a layer.
    func run(_ change: (Descriptor, _ what: String) throws -> [String: String]) throws {
        let image = try open()
        var annotations: [Digest: [String: String]] = [:]
        for layer in try encrypted(image) where annotations[layer.digest] == nil {
            annotations[layer.digest] = try change(layer, "layer \(layer.digest.short) of \(image.origin.name)")
        }
        let published = try image.replacingAnnotations(annotations)
        try destination().publish(published, replaces: true)
        try locator.toolbox.print(published.root.digest.description)
    }

    private func destination() throws -> any ImageDestination {
        let toolbox = locator.toolbox
        if reference.hasPrefix("oci:"), !reference.hasPrefix("oci://") {
            let (path, tag) = try ImageLocator.split(String(reference.dropFirst(4)))
            let layout = try ImageLayout.open(path)
            return LayoutDestination(
                name: reference, layout: layout, pinned: { "oci:\(path)@\($0)" },
                tag: { layout, descriptor, replaces in
                    let old = try layout.only(tag)
                    let name = try layout.entries().first { $0.descriptor.digest == old.digest }
                    try layout.setTag(name?.tag, fullName: name?.fullName, descriptor, replace: replaces)
                    if name?.tag == nil { try layout.removeEntries { $0.descriptor.digest == old.digest } }
                })
        }
        let text = reference.hasPrefix("oci://") ? String(reference.dropFirst(6)) : reference
        let name = try Reference(parsing: text)
        guard name.host != nil else {
            let store = locator.store
            return LayoutDestination(
                name: "store", layout: store.layout, pinned: { $0.description },
                tag: { try store.tag([name], $1, replace: $2) })
        }
        let client = try locator.registries.client(for: name, access: .push)
        return RegistryDestination(
            client, tags: name.tag.map { [$0] } ?? [], spoolDirectory: toolbox.temporaryDirectory)
    }
}
