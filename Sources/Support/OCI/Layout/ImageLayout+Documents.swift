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
    public func descriptor(named name: String) throws -> Descriptor? { try listed().named(name) }

    private func listed() throws -> ListedImages {
        ListedImages(entries: try entries(), place: path) { try index($0).content }
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

    /// The image of that name, or the only one there is.
    ///
    /// - Throws: `.usage` when there is none, or none was named and there are several.
    public func only(_ name: String?) throws -> Descriptor { try listed().only(name) }

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
