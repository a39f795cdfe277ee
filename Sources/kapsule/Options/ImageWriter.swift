internal import Encryption
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Store

/// The writing half of pull and export, where no build is needed: the image as it is, or its files.
struct ImageWriter {
    private let options: ExportOptions
    private let locator: ImageLocator
    private let toolbox: Toolbox
    private let keyring: Keyring
    private let recipients: RecipientSet?

    init(
        _ options: ExportOptions, _ locator: ImageLocator, _ toolbox: Toolbox, keyring: Keyring, recipients: [Recipient]
    ) {
        self.keyring = keyring
        self.recipients = RecipientSet(recipients)
        self.options = options
        self.locator = locator
        self.toolbox = toolbox
    }

    /// - Parameters:
    ///   - names: what the image is called at its destination, where that has names.
    ///   - tags: such names that have no repository, as in another layout.
    ///
    /// - Returns: the digest of what was written.
    func write(_ image: Image, named names: [Reference], tags: [String] = []) async throws -> Digest {
        if !keyring.isEmpty, !image.blobs.contains(where: { MediaType.isEncrypted($0.mediaType) }) {
            toolbox.note("\(image.origin.name) is not encrypted: the keys were not needed")
        }
        if options.format == .files {
            let unpacker = ImageUnpacker(
                concurrency: options.concurrency, include: PathFilter(options.include),
                exclude: PathFilter(options.exclude), replaces: options.force, keyring: keyring,
                progress: toolbox.progress)
            try await unpacker.unpack(image, into: options.output ?? ".")
            return image.root.digest
        }
        let copier = ImageCopier(
            concurrency: options.concurrency, unzips: options.unzip, keyring: keyring.isEmpty ? nil : keyring,
            recipients: recipients, progress: toolbox.progress)
        return try await copier.copy(image, to: layout(names, tags), replaces: options.force)
    }

    private func layout(_ names: [Reference], _ tags: [String]) -> any ImageDestination {
        guard let path = options.output else {
            let store = locator.store
            return LayoutDestination(
                name: "store", layout: store.layout, pinned: { $0.description },
                tag: { try store.tag(names, $1, replace: $2) })
        }
        guard options.format != .archive, OutputSpec.Kind.oci.forDestination(path) == .oci else {
            return ArchiveDestination(to: path, names: names, tags: tags, replaces: options.force)
        }
        return LayoutDestination(name: "oci:\(path)", at: path, names: names, tags: tags)
    }
}
