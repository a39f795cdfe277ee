internal import KapsuleCore
internal import KapsuleIO
internal import OCI

/// What the store takes on disk. Sizes are in bytes.
public struct StoreUsage: Sendable {
    public var images: [StoredImage] = []
    /// Of all blobs; shared ones count once.
    public var total: Int64 = 0
    /// Of blobs that no image needs: what `prune` would free.
    public var reclaimable: Int64 = 0
}

extension ImageStore {
    /// Each image, and all of them together.
    public func usage() throws -> StoreUsage {
        var usage = StoreUsage()
        usage.images = try images()
        let needed = try Set(
            layout.entries().flatMap { entry in
                // An image that cannot be read is reported in `images`; here it counts as needing nothing more.
                (try? Closure(of: entry.descriptor, in: layout).blobs.keys).map(Array.init) ?? [entry.descriptor.digest]
            })
        for name in try layout.blobNames() {
            guard let digest = Digest(hex: name),
                let status = try FileStatus.of(layout.blobPath(name), followsLinks: false)
            else { continue }
            usage.total += status.size
            if !needed.contains(digest) { usage.reclaimable += status.size }
        }
        for partial in try layout.partials() {
            usage.total += partial.allocated
            usage.reclaimable += partial.allocated
        }
        return usage
    }
}
