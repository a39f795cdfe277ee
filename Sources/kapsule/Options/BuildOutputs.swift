internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Store

/// Where the outputs of a build go.
struct BuildOutputs {
    let locator: ImageLocator
    let tags: [Reference]
    let outputs: [OutputSpec]
    let pushes: Bool

    /// One destination for the store, one for each layout, one for each repository of a registry.
    ///
    /// Without `--output` the tags decide: one with a host is pushed there, one without goes to the local store. Without
    /// tags the store keeps the image under its digest.
    func destinations() throws -> [any ImageDestination] {
        let remote = tags.filter { $0.host != nil }
        let local = tags.filter { $0.host == nil }
        var all: [any ImageDestination] = []
        let kinds = outputs.map { $0.kind ?? .oci }
        let goesToStore = outputs.isEmpty ? (!local.isEmpty || tags.isEmpty) : kinds.contains(.store)
        if goesToStore { all.append(store(outputs.isEmpty ? local : tags)) }
        for output in outputs where (output.kind ?? .oci) == .oci { all.append(try layout(output.destination ?? ".")) }
        if outputs.isEmpty || pushes || kinds.contains(.registry) {
            guard !remote.isEmpty || outputs.isEmpty else {
                throw KapsuleError(
                    .usage, id: "usage.push-without-host", "there is nothing to push: no --tag names a registry",
                    remedy: "add --tag HOST/REPOSITORY:TAG")
            }
            all += try registries(remote)
        }
        return all
    }

    private func store(_ tags: [Reference]) -> any ImageDestination {
        let store = locator.store
        let name = tags.first?.description ?? "(no tag)"
        return LayoutDestination(
            name: "store \(name)", layout: store.layout,
            pinned: { digest in (tags.first?.name).map { "\($0)@\(digest)" } ?? digest.description },
            tag: { try store.tag(tags, $0, replace: $1) })
    }

    private func layout(_ path: String) throws -> any ImageDestination {
        try Directories.make(path)
        let layout = try ImageLayout.create(path, flush: .later)
        let tags = tags
        return LayoutDestination(
            name: "oci:\(path)", layout: layout, pinned: { "oci:\(path)@\($0)" },
            tag: { descriptor, replaces in
                guard !tags.isEmpty else { return _ = try layout.setTag(nil, descriptor, replace: replaces) }
                for tag in tags {
                    try layout.setTag(tag.tag, fullName: tag.description, descriptor, replace: replaces)
                }
            })
    }

    private func registries(_ tags: [Reference]) throws -> [any ImageDestination] {
        var order: [String] = []
        var byName: [String: [Reference]] = [:]
        for tag in tags {
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
