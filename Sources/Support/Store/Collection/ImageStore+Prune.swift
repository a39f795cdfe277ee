public import KapsuleCore
internal import KapsuleIO
internal import OCI

/// What `prune` did.
public struct PruneResult: Sendable, Equatable {
    /// True when somebody uses the store; nothing was removed then.
    public var isInUse = false
    /// Blobs that no image needs, and that are gone.
    public var removed: [Artifact] = []
    /// Bytes the file system got back: less than the sum of sizes where a blob has other names.
    public var freed: Int64 = 0
}

extension ImageStore {
    /// Removes the blobs that no image needs, and what killed processes left behind.
    ///
    /// Does nothing while somebody uses the store. A damaged manifest stops it before anything is removed, because what
    /// it needed is not known.
    ///
    /// - Parameter age: blobs written less than so many seconds ago stay, for the sake of other tools that write into
    ///   the store and know no lock of ours.
    public func prune(sparingYoungerThan age: Int64 = 0) throws -> PruneResult {
        guard let lock = try exclude() else { return PruneResult(isInUse: true) }
        defer { withExtendedLifetime(lock) {} }
        var needed: Set<Digest> = []
        for entry in try layout.entries() {
            try doing("finding what \(entry.tag ?? "an image without a name") needs") {
                needed.formUnion(try Closure(of: entry.descriptor, in: layout).blobs.keys)
            }
        }
        var result = PruneResult()
        let youngest = WallClock.now - age * 1_000_000_000
        for name in try layout.blobNames() {
            let path = layout.blobPath(name)
            guard let status = try FileStatus.of(path, followsLinks: false) else { continue }
            if let digest = Digest(hex: name) {
                guard !needed.contains(digest), status.modified <= youngest else { continue }
                result.removed.append(Artifact(digest: digest, size: status.size))
            } else if !name.hasPrefix(AtomicFile.temporaryPrefix) {
                // Not ours to judge.
                continue
            }
            if try Directories.removeFile(path), status.links == 1 { result.freed += status.allocated }
        }
        // Whoever changes index.json uses the store, so nobody is about to rename these.
        for path in try leftovers() { try Directories.removeFile(path) }
        result.freed += try layout.removePartials(all: true)
        return result
    }
}
