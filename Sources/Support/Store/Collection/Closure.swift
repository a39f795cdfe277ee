internal import KapsuleCore
internal import OCI

/// Every blob that an image needs, itself included.
struct Closure {
    /// Digests and sizes, as the documents promise them.
    private(set) var blobs: [Digest: Int64] = [:]
    /// Promised, and not here in that size.
    private(set) var missing: [Artifact] = []

    /// - Throws: `.unverified` for a document that is here and cannot be read: what it needs is not known then.
    init(of root: Descriptor, in layout: ImageLayout) throws {
        var waiting = [root]
        while let descriptor = waiting.popLast() {
            guard blobs.updateValue(descriptor.size, forKey: descriptor.digest) == nil else { continue }
            guard try layout.contains(descriptor.artifact) else {
                missing.append(descriptor.artifact)
                continue
            }
            // What refers to an image by `subject` needs that image to mean anything.
            if MediaType.isIndex(descriptor.mediaType) {
                waiting += try layout.index(descriptor).content.manifests
            } else if MediaType.isManifest(descriptor.mediaType) {
                let manifest = try layout.manifest(descriptor).content
                waiting += manifest.blobs + [manifest.subject].compactMap(\.self)
            }
        }
    }

    /// Sum of the sizes, in bytes.
    var size: Int64 { blobs.values.reduce(0, +) }
}
