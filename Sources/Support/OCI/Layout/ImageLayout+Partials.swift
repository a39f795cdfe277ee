public import KapsuleCore
internal import KapsuleIO

/// What interrupted runs leave of blobs, in hidden files: of one that is fetched under its digest, of one whose digest is
/// worked out on the way under what is known of it beforehand (`layer-HEX`).
extension ImageLayout {
    /// Smaller blobs are fetched again, in bytes.
    public static let smallestPartial: Int64 = 1 << 20

    /// The name of what is left of a blob that was opened under a key.
    static func partialName(_ key: Digest) -> String { layerPrefix + key.hex }
    private static let layerPrefix = "layer-"

    /// Removes what is left of blobs that were opened under keys.
    public func removeLeftovers() { PartialFile.clear(Self.layerPrefix, in: path) }

    /// The first bytes of a blob that was opened under a key; nil where nothing is left of it.
    public func leftover(of key: Digest) -> (any ByteSource)? {
        guard let file = PartialFile.leftover(Self.partialName(key), in: path), let size = try? file.status().size,
            size > 0
        else { return nil }
        // It is written to meanwhile: with the same bytes, in the same places.
        return UnwatchedSource(file, size: size)
    }

    /// Where what is left of blobs is.
    public var partialFolder: String { "\(path)/\(PartialFile.folderName)" }

    /// What interrupted runs left of blobs: paths and bytes on disk.
    public func partials() throws -> [(path: String, allocated: Int64)] {
        guard try FileStatus.of(partialFolder, followsLinks: false)?.kind == .directory else { return [] }
        return try Directories.names(in: partialFolder).compactMap { name in
            let path = "\(partialFolder)/\(name)"
            return try FileStatus.of(path, followsLinks: false).map { (path, $0.allocated) }
        }
    }

    /// Bytes on disk that an interrupted run has taken for a blob.
    public func allocatedForPartial(of digest: Digest) -> Int64 { allocated(digest.hex) }

    /// Bytes on disk that an interrupted run has taken for a blob that was opened under a key.
    public func allocatedForLeftover(of key: Digest) -> Int64 { allocated(Self.partialName(key)) }

    private func allocated(_ name: String) -> Int64 {
        ((try? FileStatus.of("\(partialFolder)/\(name)", followsLinks: false)) ?? nil)?.allocated ?? 0
    }

    /// Removes what was left of blobs.
    ///
    /// - Parameter all: also of those that are not here yet; nobody may be writing one then.
    /// - Returns: bytes on disk that were freed.
    @discardableResult
    public func removePartials(all: Bool) throws -> Int64 {
        var freed: Int64 = 0
        for (path, allocated) in try partials() {
            let isDone = Digest(hex: Paths.name(of: path)).map { (try? blob($0)) != nil } ?? false
            if all || isDone, try Directories.removeFile(path) { freed += allocated }
        }
        Directories.removeIfEmpty(partialFolder)
        return freed
    }
}
