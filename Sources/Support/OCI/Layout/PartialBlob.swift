public import KapsuleCore
internal import KapsuleIO

/// The first bytes of a blob whose fetching was interrupted.
///
///     DIR/.kapsule-partial/HEX    mode 0600; locked while a process writes it
///
/// What is in it is not verified: whoever goes on hashes it first. Where another process is at it, there is none for us.
final class PartialBlob {
    static let folderName = AtomicFile.temporaryPrefix + "partial"
    /// Smaller blobs are fetched again, in bytes.
    static let smallest: Int64 = 1 << 20

    let file: OpenFile
    private let path: String
    private let folder: String
    private let lock: FileLock

    /// The partial of a blob; an empty one where nothing was left.
    ///
    /// - Returns: nil when another process has it, or what has its name is not ours.
    static func open(_ digest: Digest, in layout: ImageLayout) throws -> PartialBlob? {
        let folder = layout.partialFolder
        // Somebody who has just finished may take the empty folder away before we are in it.
        for _ in 0..<3 {
            try Directories.make(folder, mode: 0o700)
            do {
                return try PartialBlob(folder, digest)
            } catch let error as KapsuleError where error.id == "io.not-found" {
                continue
            } catch let error as KapsuleError where error.id != "io.no-space" {
                return nil
            }
        }
        return nil
    }

    private init?(_ folder: String, _ digest: Digest) throws {
        self.folder = folder
        path = "\(folder)/\(digest.hex)"
        file = try OpenFile.updating(path, mode: 0o600)
        guard let lock = try FileLock.ifFree(file, .exclusive) else { return nil }
        self.lock = lock
        // Its last owner may have given it its final name while we waited: then it is a blob, and nobody's to write to.
        let (opened, named) = (try file.status(), try FileStatus.of(path, followsLinks: false))
        guard opened.kind == .regular, opened.owner == Ownership.effectiveUser, opened.links == 1,
            opened.inode == named?.inode, opened.device == named?.device
        else { return nil }
        try file.setMode(0o600)
    }

    /// Bytes that are here.
    func count() throws -> Int64 { try file.status().size }

    /// Gives it the name that it deserves.
    func publish(as final: String) throws {
        try file.setMode(ImageLayout.blobMode)
        try Directories.rename(path, to: final)
        Directories.removeIfEmpty(folder)
    }

    func remove() {
        _ = try? Directories.removeFile(path)
        Directories.removeIfEmpty(folder)
    }
}

extension ImageLayout {
    /// Where what is left of blobs is.
    public var partialFolder: String { "\(path)/\(PartialBlob.folderName)" }

    /// What interrupted runs left of blobs: paths and bytes on disk.
    public func partials() throws -> [(path: String, allocated: Int64)] {
        guard try FileStatus.of(partialFolder, followsLinks: false)?.kind == .directory else { return [] }
        return try Directories.names(in: partialFolder).compactMap { name in
            let path = "\(partialFolder)/\(name)"
            return try FileStatus.of(path, followsLinks: false).map { (path, $0.allocated) }
        }
    }

    /// Bytes on disk that an interrupted run has taken for a blob.
    public func allocatedForPartial(of digest: Digest) -> Int64 {
        ((try? FileStatus.of("\(partialFolder)/\(digest.hex)", followsLinks: false)) ?? nil)?.allocated ?? 0
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
