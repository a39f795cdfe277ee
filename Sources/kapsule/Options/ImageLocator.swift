internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Store

/// Finds the image that a word on the command line or in FROM means.
struct ImageLocator {
    let toolbox: Toolbox
    let registries: RegistrySession
    let store: ImageStore
    let ollama: OllamaLocator

    init(_ toolbox: Toolbox, _ flags: RegistryFlags) throws {
        self.toolbox = toolbox
        registries = try toolbox.registries(flags)
        ollama = OllamaLocator(toolbox, registries, flags)
        store = try toolbox.store()
    }

    /// `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `oci://HOST/REPO`, `ollama:NAME`, a name of the local store, or a
    /// reference of a registry.
    ///
    /// - Parameter prefersStore: whether a name with a host is looked for in the store, rather than in its registry.
    func origin(of text: String, prefersStore: Bool) throws -> any ImageOrigin {
        if text.hasPrefix("oci://") || text.hasPrefix("docker://") {
            return try registry(
                try Reference(parsing: text.split(separator: "://", maxSplits: 1).last.map(String.init) ?? ""))
        }
        if let name = OllamaLocator.name(in: text) { return try ollama.origin(name, onlyHere: prefersStore) }
        if text.hasPrefix("oci:") { return try layout(String(text.dropFirst(4)), named: text) }
        if text.hasPrefix("oci-archive:") { return try archive(String(text.dropFirst(12))) }
        if try ImageArchive.isTar(text) { return try archive(text) }
        // A path can only be meant as a layout: no reference begins so.
        if text.hasPrefix("./") || text.hasPrefix("../") || text.hasPrefix("/") {
            return try layout(text, named: "oci:\(text)")
        }
        let reference = try storedName(text)
        if reference.host == nil || prefersStore {
            if let stored = try stored(text) { return stored }
            throw try notInStore(text, reference)
        }
        return try registry(reference)
    }

    /// Whether the local store has an image of that name; false for what can be no such name.
    func hasStored(_ name: String) throws -> Bool {
        guard let name = try? storedName(name) else { return false }
        return try store.descriptor(for: name) != nil
    }

    /// A name or a digest of the local store; nil when it has none such.
    func stored(_ name: String) throws -> (any ImageOrigin)? {
        guard let descriptor = try store.descriptor(for: try storedName(name)) else { return nil }
        return LayoutOrigin(name: name, layout: store.layout, descriptor)
    }

    func registry(_ reference: Reference) throws -> any ImageOrigin {
        RegistryOrigin(reference, try registries.client(for: reference, access: .pull))
    }

    /// - Parameter text: `DIR`, `DIR:TAG` or `DIR@sha256:…`.
    func layout(_ text: String, named name: String) throws -> any ImageOrigin {
        let (path, tag) = try Self.split(text)
        let layout = try ImageLayout.open(path)
        return LayoutOrigin(name: name, layout: layout, try layout.only(tag))
    }

    /// - Parameter text: `FILE`, `FILE:TAG` or `FILE@sha256:…`.
    func archive(_ text: String) throws -> any ImageOrigin {
        let (path, tag) = try Self.split(text)
        return try ImageArchive(opening: path).origin(named: tag)
    }

    /// Whether a word on the command line names a place that is no store and no registry, and so gives no name to what is
    /// made of it.
    static func isPlace(_ text: String) throws -> Bool {
        try text.hasPrefix("oci:") || text.hasPrefix("oci-archive:")
            || ["./", "../", "/"].contains(where: text.hasPrefix)
            || ImageArchive.isTar(text)
    }

    /// A directory may have a colon in its name, so what exists wins.
    static func split(_ text: String) throws -> (path: String, tag: String?) {
        if try FileStatus.of(text, followsLinks: true) != nil { return (text, nil) }
        if let at = text.lastIndex(of: "@"), text[at...].hasPrefix("@sha256:") {
            return (String(text[..<at]), String(text[text.index(after: at)...]))
        }
        guard let colon = text.lastIndex(of: ":"), !text[colon...].contains("/") else { return (text, nil) }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    /// Other repositories of the registry that the store knows images of: they may have blobs to mount.
    ///
    /// - Parameter image: where given, only those whose images share a layer with it.
    func siblings(of target: Reference, in image: Image? = nil) throws -> [String] {
        var repositories: [String] = []
        for stored in try store.images() where stored.problem == nil {
            guard let name = try? Reference(parsing: stored.reference), name.host == target.host,
                name.repository != target.repository, !repositories.contains(name.repository)
            else { continue }
            if let image, try !sharesLayers(stored.reference, with: image) { continue }
            repositories.append(name.repository)
        }
        return repositories
    }

    private func sharesLayers(_ name: String, with image: Image) throws -> Bool {
        guard let other = try stored(name) else { return false }
        let digests = Set(image.blobs.map(\.digest))
        return try Image(other).blobs.contains { digests.contains($0.digest) }
    }

    /// A digest alone is a name too.
    private func storedName(_ text: String) throws -> Reference {
        if let digest = Digest(parsing: text) {
            return Reference(host: nil, repository: text, tag: nil, digest: digest)
        }
        return try Reference(parsing: text)
    }

    private func notInStore(_ text: String, _ reference: Reference) throws -> KapsuleError {
        let names = try store.images().map(\.reference)
        let nearest = Suggestion.nearest(to: text, among: names).map { "did you mean \($0)?" }
        return KapsuleError(
            .usage, id: "store.not-found", "there is no image '\(text)' in the local store",
            remedy: nearest
                ?? (reference.host == nil
                    ? "'kapsule ls' lists what there is; an image of a registry is written HOST/REPOSITORY:TAG"
                    : "'kapsule ls' lists what there is; 'kapsule pull \(text)' fetches it"))
    }
}
