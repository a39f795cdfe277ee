internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

extension ImageLayout {
    /// The bytes of a small blob, hashed.
    ///
    /// - Parameter what: names it in errors: `the manifest of oci:out:7b`.
    /// - Throws: `.unverified` when it is missing, too long or not what its descriptor says.
    public func document(_ descriptor: Descriptor, limit: Int64, what: String) throws -> [UInt8] {
        let bytes = try blob(descriptor.artifact).readAll(limit: limit, what: what)
        guard Digest.of(bytes) == descriptor.digest else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(what) in \(path) is damaged: blob \(descriptor.digest) has the digest \(Digest.of(bytes))",
                remedy: "remove \(path(of: descriptor.digest)) and make or copy the image again")
        }
        return bytes
    }

    public func manifest(_ descriptor: Descriptor) throws -> Document<Manifest> {
        let what = "manifest \(descriptor.digest)"
        return try Manifest.decode(document(descriptor, limit: DocumentLimit.manifest, what: what), what: what)
    }

    public func index(_ descriptor: Descriptor) throws -> Document<ImageIndex> {
        let what = "index \(descriptor.digest)"
        return try ImageIndex.decode(document(descriptor, limit: DocumentLimit.manifest, what: what), what: what)
    }

    public func config(_ descriptor: Descriptor) throws -> Document<ImageConfig> {
        let what = "config \(descriptor.digest)"
        return try ImageConfig.decode(document(descriptor, limit: DocumentLimit.config, what: what), what: what)
    }

    /// What a name stands for: a tag, a full name, or the digest of a manifest (`sha256:…`); nil when nothing has it.
    ///
    /// A digest is looked for in `index.json`, then in the indexes listed there.
    public func descriptor(named name: String) throws -> Descriptor? {
        let entries = try entries()
        guard let digest = Digest(parsing: name) else {
            return (entries.first { $0.tag == name } ?? entries.first { $0.fullName == name })?.descriptor
        }
        if let entry = entries.first(where: { $0.descriptor.digest == digest }) { return entry.descriptor }
        for entry in entries where MediaType.isIndex(entry.descriptor.mediaType) {
            if let found = try index(entry.descriptor).content.manifests.first(where: { $0.digest == digest }) {
                return found
            }
        }
        return nil
    }

    /// What a reference stands for. A digest beats a tag; a tag alone counts where its repository is not contradicted.
    public func descriptor(for reference: Reference) throws -> Descriptor? {
        if let digest = reference.digest { return try descriptor(named: digest.description) }
        if let whole = try descriptor(named: reference.description) { return whole }
        guard let tag = reference.tag else { return nil }
        return try entries().first { $0.tag == tag && $0.fullName == nil }?.descriptor
    }

    /// The manifest under a name, through an index where there is one.
    ///
    /// - Parameters:
    ///   - name: a tag, a full name or a digest; nil for the only image of the layout.
    ///   - platform: which manifest of an index; not needed where the index has one only.
    /// - Throws: `.usage` when there is no such image, or not for that platform.
    public func manifest(for name: String?, platform: Platform? = nil) throws -> Document<Manifest> {
        var descriptor = try only(name)
        // An index may list indexes; a few levels are all anyone has seen.
        for _ in 0..<4 {
            guard MediaType.isIndex(descriptor.mediaType) else { return try manifest(descriptor) }
            descriptor = try choose(from: index(descriptor).content, platform: platform)
        }
        throw KapsuleError(
            .unverified, id: "layout.nesting",
            "the image \(name ?? "") in \(path) is an index within an index, too deep",
            remedy: "name a manifest in it by its digest")
    }

    public func only(_ name: String?) throws -> Descriptor {
        if let name {
            if let found = try descriptor(named: name) { return found }
            let tags = try entries().compactMap(\.tag)
            let nearest = Suggestion.nearest(to: name, among: tags)
            throw KapsuleError(
                .usage, id: "layout.no-image", "\(path) has no image '\(name)'",
                remedy: nearest.map { "did you mean '\($0)'?" }
                    ?? (tags.isEmpty
                        ? "name an image by its digest: none there has a tag"
                        : "it has: \(tags.sorted().prefix(20).joined(separator: ", "))"))
        }
        let entries = try entries()
        guard let first = entries.first, entries.count == 1 else {
            throw KapsuleError(
                .usage, id: "layout.which-image", "\(path) has \(entries.count) images, and none was named",
                remedy: entries.isEmpty
                    ? "put an image there first"
                    : "name one: \(entries.map { $0.tag ?? $0.descriptor.digest.description }.joined(separator: ", "))")
        }
        return first.descriptor
    }

    private func choose(from index: ImageIndex, platform: Platform?) throws -> Descriptor {
        // buildx lists its attestations as manifests for the platform unknown/unknown.
        let manifests = index.manifests.filter { $0.platform?.os != "unknown" }
        if let platform {
            let matching = manifests.filter {
                $0.platform?.os == platform.os && $0.platform?.architecture == platform.architecture
            }
            if let found = matching.first(where: { $0.platform?.variant == platform.variant }) ?? matching.first {
                return found
            }
        } else if manifests.count == 1 {
            return manifests[0]
        }
        let offered = manifests.compactMap { $0.platform?.description }.joined(separator: ", ")
        throw KapsuleError(
            .usage, id: "layout.platform",
            platform.map { "the image in \(path) has no manifest for \($0)" }
                ?? "the image in \(path) has \(manifests.count) manifests, and no platform was named",
            remedy: offered.isEmpty ? "name a manifest by its digest" : "choose one of: \(offered)")
    }
}
