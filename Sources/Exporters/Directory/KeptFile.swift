internal import KapsuleCore
internal import KapsuleIO

/// The content of the one large file of a layer, as far as an interrupted run has come.
///
///     TARGET/.kapsule-layers/HEX-OFFSET    mode 0600; locked while a process writes it
///
/// HEX is the digest of the layer, OFFSET where the file's content begins in it. With that, the layer's bytes up to there
/// can be put together again, and hashed, without fetching more than its head.
// Used by one thread at a time: whoever unpacks the layer.
final class KeptFile {
    static let folder = AtomicFile.temporaryPrefix + "layers"
    /// Smaller files are fetched again, in bytes.
    static let smallest: Int64 = 1 << 20

    private let root: RootDirectory
    private let digest: Digest
    private var found: Found?

    private struct Found {
        let path: String
        let offset: Int64
        let file: OpenFile
        let lock: FileLock
    }

    /// Nil where another process is at the same layer.
    init?(_ digest: Digest, in root: RootDirectory) throws {
        self.root = root
        self.digest = digest
        guard try root.status(Self.folder)?.kind == .directory else { return }
        for name in try Directories.names(in: "\(root.path)/\(Self.folder)") where name.hasPrefix("\(digest.hex)-") {
            guard let offset = Int64(name.dropFirst(digest.hex.utf8.count + 1)), offset >= 0,
                let opened = try open("\(Self.folder)/\(name)", offset)
            else { return nil }
            found = opened
        }
    }

    /// Nil when somebody else has it, or it is no file of ours.
    private func open(_ path: String, _ offset: Int64) throws -> Found? {
        guard let file = try? root.updating(path, mode: 0o600), let lock = try FileLock.ifFree(file, .exclusive) else {
            return nil
        }
        let (opened, named) = (try file.status(), try root.status(path))
        guard opened.kind == .regular, opened.owner == Ownership.effectiveUser, opened.links == 1,
            opened.inode == named?.inode
        else { return nil }
        return Found(path: path, offset: offset, file: file, lock: lock)
    }

    /// The layer, with what is here read from here.
    func completing(_ layer: any ByteSource) throws -> any ByteSource {
        guard let found else { return layer }
        let count = try found.file.status().size
        guard count > 0, found.offset < layer.size, count <= layer.size - found.offset else {
            remove()
            return layer
        }
        let end = found.offset + count
        return ConcatenatedSource([
            SliceSource(layer, 0..<found.offset), UnwatchedSource(found.file, size: count),
            SliceSource(layer, end..<layer.size),
        ])
    }

    /// Where the content goes that begins at `offset` in the layer, and how much of it is there.
    ///
    /// - Returns: nil for a file that is too small, or when something is in the way.
    func place(at offset: Int64, size: Int64) throws -> (place: HeldFile.Place, landed: Int64)? {
        guard size >= Self.smallest else { return nil }
        if let found, found.offset == offset {
            return (.staged(found.path, found.file), try found.file.status().size)
        }
        remove()
        let path = "\(Self.folder)/\(digest.hex)-\(offset)"
        // Where there can be none, as beside a run that has just taken its empty folder away, nothing is kept.
        try? root.makeDirectory(Self.folder).setMode(0o700)
        guard let made = try open(path, offset) else { return nil }
        try made.file.truncate(to: 0)
        found = made
        return (.staged(path, made.file), 0)
    }

    /// It is of no use to anyone.
    func remove() {
        if let found { _ = try? root.remove(found.path) }
        found = nil
    }

    /// Removes what nobody is at: all that was wanted is there.
    static func removeAll(in root: RootDirectory) {
        for name in (try? Directories.names(in: "\(root.path)/\(folder)")) ?? [] {
            guard let file = try? root.updating("\(folder)/\(name)", mode: 0o600),
                let lock = try? FileLock.ifFree(file, .exclusive)
            else { continue }
            _ = try? root.remove("\(folder)/\(name)")
            withExtendedLifetime(lock) {}
        }
        _ = try? root.remove(folder)
    }

    /// Bytes on disk that are taken for a layer already.
    static func allocated(for layer: Digest, in target: String) -> Int64 {
        let names = (try? Directories.names(in: "\(target)/\(folder)")) ?? []
        return names.filter { $0.hasPrefix("\(layer.hex)-") }.reduce(0) { sum, name in
            let status = (try? FileStatus.of("\(target)/\(folder)/\(name)", followsLinks: false)) ?? nil
            return sum + (status?.allocated ?? 0)
        }
    }
}
