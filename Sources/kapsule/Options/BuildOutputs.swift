internal import Exporters
internal import Hub
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Store

/// Where the outputs of a build go.
struct BuildOutputs {
    let locator: ImageLocator
    let tags: [Reference]
    let specs: [OutputSpec]
    /// Whether there is no `--output`: the store then gets the tags without a host, else all.
    let tagsDecide: Bool
    let image: ImageExporter.Options
    let verity: VerityOptions
    /// The branch or the tag of the hub that FROM names; nil where it names none, or a commit.
    let hubRevision: String?
    let replaces: Bool

    /// What `--format`, `--output`, `--push` and the tags ask for, spelt out.
    ///
    /// Without `--output` the tags decide: one with a host is pushed there, one without goes to the local store. Without
    /// tags the store keeps the image under its digest. A plain directory gets every format.
    static func specs(
        formats: [BuildFormat], outputs: [OutputSpec], pushes: Bool, tags: [Reference]
    ) throws -> [OutputSpec] {
        let kinds = (formats.isEmpty ? [.oci] : formats).map(\.kind)
        var specs = outputs.flatMap { output in
            output.kind == nil
                ? kinds.map {
                    OutputSpec($0.forDestination(output.destination), to: output.destination).shaped($0.shape)
                } : [output]
        }
        if kinds.count > 1, let alone = kinds.first(where: \.wantsDirectoryAlone),
            outputs.contains(where: { $0.kind == nil })
        {
            throw KapsuleError(
                .usage, id: "usage.one-directory", "the format \(alone.rawValue) wants its directory for itself",
                remedy: "name one for each format: --output type=\(alone.rawValue),dest=DIR --output type=…,dest=OTHER")
        }
        let hasRemote = tags.contains { $0.host != nil }
        if outputs.isEmpty {
            guard kinds.allSatisfy({ $0.isLayout || !$0.needsDestination }) else { throw needsDirectory(kinds) }
            specs += kinds.filter { !$0.needsDestination }.map { OutputSpec($0, to: nil) }
            if kinds.contains(where: \.isLayout) { specs += tagged(tags) }
        }
        if pushes, !specs.contains(where: { $0.kind == .registry }) { specs.append(OutputSpec(.registry, to: nil)) }
        try check(specs, tags, hasRemote)
        return try shaped(specs, kinds)
    }

    /// What images are that go somewhere else than a directory of their own: what `--format` says.
    private static func shaped(_ specs: [OutputSpec], _ kinds: [OutputSpec.Kind]) throws -> [OutputSpec] {
        let shapes = kinds.filter(\.isLayout).map { $0.shape ?? .oci }
        let isOpen = specs.contains { ($0.kind?.isImage ?? true) && $0.shape == nil && $0.kind != .oci }
        if isOpen, Set(shapes).count > 1 {
            throw KapsuleError(
                .usage, id: "usage.which-format",
                "--format names \(shapes.map(\.rawValue).joined(separator: " and ")), and one image cannot be both",
                remedy: "say which goes where: --output type=registry,format=modelpack")
        }
        let usual = shapes.first ?? (kinds == [.ollama] ? .ollama : .oci)
        let shaped = specs.map { $0.kind == .oci ? $0.shaped(.oci) : $0.shaped(usual) }
        for spec in shaped { try spec.check() }
        return shaped
    }

    /// Where images go that no `--output` has a place for.
    private static func tagged(_ tags: [Reference]) -> [OutputSpec] {
        let isLocal = tags.isEmpty || tags.contains { $0.host == nil }
        let isRemote = tags.contains { $0.host != nil }
        return (isLocal ? [OutputSpec(.store, to: nil)] : []) + (isRemote ? [OutputSpec(.registry, to: nil)] : [])
    }

    private static func needsDirectory(_ kinds: [OutputSpec.Kind]) -> KapsuleError {
        KapsuleError(
            .usage, id: "usage.no-output",
            "--format \(kinds.map(\.rawValue).joined(separator: ", ")) makes files, and no --output says where",
            remedy: "add --output DIR")
    }

    private static func check(_ specs: [OutputSpec], _ tags: [Reference], _ hasRemote: Bool) throws {
        if specs.contains(where: { $0.kind == .registry }), !hasRemote {
            throw KapsuleError(
                .usage, id: "usage.push-without-host", "there is nothing to push: no --tag names a registry",
                remedy: "add --tag HOST/REPOSITORY:TAG")
        }
        if !tags.isEmpty, !specs.contains(where: { $0.kind?.takesTags ?? true }) {
            throw KapsuleError(
                .usage, id: "usage.tag-without-image", "--tag names an image, and none is made",
                remedy: "leave --tag out, or add --output type=store or --push")
        }
    }

    /// One exporter for the store, one for each directory, one for each repository of a registry.
    func exporters() throws -> [any Exporter] {
        try specs.flatMap { spec -> [any Exporter] in
            let directory = spec.destination ?? "."
            switch spec.kind ?? .oci {
            case .oci, .modelPack, .universal: return [image(spec, to: layout(directory))]
            case .archive:
                return [image(spec, to: ArchiveDestination(to: directory, names: tags, replaces: replaces))]
            case .store: return [image(spec, to: store(tagsDecide ? tags.filter { $0.host == nil } : tags))]
            case .registry: return try registries().map { image(spec, to: $0) }
            case .verity: return [try verity.exporter(to: directory, replaces: replaces)]
            case .emwp: return [try verity.encryptedExporter(to: directory, replaces: replaces)]
            case .hf:
                return [DirectoryExporter(to: directory, replaces: replaces, progress: locator.toolbox.progress)]
            case .pytorch:
                return [
                    DirectoryExporter(
                        to: directory, .checkpoints, replaces: replaces, progress: locator.toolbox.progress)
                ]
            case .hubCache:
                return [
                    HubCacheExporter(
                        to: try spec.destination ?? hubCache(),
                        ref: spec.ref ?? hubRevision, replaces: replaces, progress: locator.toolbox.progress)
                ]
            case .repart: return [verity.diskExporter(to: directory, replaces: replaces)]
            case .ollama:
                let output = OllamaOutput(destination: spec.destination, name: spec.name, tags: tags)
                return [try output.exporter(replaces: replaces, in: locator.toolbox)]
            }
        }
    }

    /// Where the hub's own tools look.
    private func hubCache() throws -> String {
        if let cache = try locator.toolbox.hub().settings.cache { return cache }
        throw KapsuleError(
            .usage, id: "hub-cache.nowhere", "there is no home directory, so nobody can say where the hub's cache is",
            remedy: "name it: type=hf-cache,dest=DIR, or set HF_HUB_CACHE")
    }

    private func image(_ spec: OutputSpec, to destination: any ImageDestination) -> any Exporter {
        switch spec.shape {
        case .modelPack: return ModelPackExporter(to: destination, image, form: spec.form ?? .raw)
        case .ollama:
            let toolbox = locator.toolbox
            return OllamaImageExporter(to: destination, image, note: { toolbox.note("note: \($0)") })
        case .oci, .universal, nil:
            var options = image
            options.isUniversal = spec.shape == .universal
            return ImageExporter(to: destination, options)
        }
    }

    private func store(_ tags: [Reference]) -> any ImageDestination {
        let store = locator.store
        return LayoutDestination(
            name: "store \(tags.first?.description ?? "(no tag)")", layout: store.layout,
            pinned: { digest in (tags.first?.name).map { "\($0)@\(digest)" } ?? digest.description },
            tag: { try store.tag(tags, $1, replace: $2) })
    }

    private func layout(_ path: String) -> any ImageDestination {
        LayoutDestination(name: "oci:\(path)", at: path, names: tags)
    }

    private func registries() throws -> [any ImageDestination] {
        var order: [String] = []
        var byName: [String: [Reference]] = [:]
        for tag in tags where tag.host != nil {
            if byName[tag.name] == nil { order.append(tag.name) }
            byName[tag.name, default: []].append(tag)
        }
        return try order.compactMap { byName[$0] }.map { tags in
            let client = try locator.registries.client(for: tags[0], access: .push)
            return RegistryDestination(
                client, tags: tags.compactMap(\.tag), siblings: try locator.siblings(of: tags[0]),
                spoolDirectory: locator.toolbox.temporaryDirectory)
        }
    }
}
