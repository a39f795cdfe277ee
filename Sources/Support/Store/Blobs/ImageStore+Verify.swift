internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI
internal import Synchronization

extension ImageStore {
    /// Reads and hashes every blob, and checks that every image has all it needs.
    ///
    /// - Parameter threads: blobs hashed at one time; hashing is the limit, so as many as there are cores.
    /// - Returns: what is wrong, blobs first; empty when all is well.
    public func verify(threads: Int) async throws -> [StoreFinding] {
        let use = try use()
        defer { withExtendedLifetime(use) {} }
        let layout = layout
        let damaged = Mutex<[StoreFinding]>([])
        try await forEach(try layout.blobNames().compactMap { Digest(hex: $0) }, limit: threads) { digest in
            guard let source = try layout.blob(digest) else { return }
            let actual = try Digest.of(source)
            if actual != digest { damaged.withLock { $0.append(.damaged(digest, actual: actual)) } }
        }
        let order = { (finding: StoreFinding) in finding.error?.message ?? "" }
        return try damaged.withLock { $0 }.sorted { order($0) < order($1) } + incomplete() + strays()
    }

    private func incomplete() throws -> [StoreFinding] {
        try layout.entries().flatMap { entry -> [StoreFinding] in
            let image = entry.tag ?? entry.descriptor.digest.description
            do {
                return try Closure(of: entry.descriptor, in: layout).missing.map { .missing($0, image: image) }
            } catch let error as KapsuleError where error.code == .unverified {
                return [.unreadable(image: image, reason: error.message)]
            }
        }
    }

    private func strays() throws -> [StoreFinding] {
        let amongBlobs = try layout.blobNames().filter { Digest(hex: $0) == nil }.map(layout.blobPath)
        return try (amongBlobs + leftovers()).map { .stray(path: $0) }
    }

    /// What a process killed while it replaced `index.json` left beside it.
    func leftovers() throws -> [String] {
        try Directories.names(in: layout.path)
            .filter { $0.hasPrefix(AtomicFile.temporaryPrefix) && "\(layout.path)/\($0)" != layout.partialFolder }.map {
                "\(layout.path)/\($0)"
            }
    }
}

extension ImageLayout {
    var blobDirectory: String { path + "/blobs/sha256" }

    func blobPath(_ name: String) -> String { "\(blobDirectory)/\(name)" }

    /// Names in the folder of blobs, whatever they are.
    func blobNames() throws -> [String] {
        guard try FileStatus.of(blobDirectory, followsLinks: true) != nil else { return [] }
        return try Directories.names(in: blobDirectory)
    }
}
