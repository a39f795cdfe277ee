internal import Glibc
internal import KapsuleCore

/// A file that a further run goes on with, where this one is killed before it is whole.
///
///     DIR/.kapsule-partial/NAME    mode 0600; locked while a process writes it
///
/// What is in it is not verified: whoever goes on hashes it first. Where another process is at it, there is none for us.
public final class PartialFile: Sendable {
    public static let folderName = AtomicFile.temporaryPrefix + "partial"

    public let file: OpenFile
    let path: String
    private let folder: String
    private let lock: FileLock

    /// What is left under a name; an empty file where nothing is.
    ///
    /// - Parameter directory: exists already. What the file will be in the end is on the same file system.
    /// - Returns: nil when another process has it, or what has its name is not ours.
    public static func open(_ name: String, in directory: String) throws -> PartialFile? {
        let folder = "\(directory)/\(folderName)"
        // Somebody who has just finished may take the empty folder away before we are in it.
        for _ in 0..<3 {
            try Directories.make(folder, mode: 0o700)
            do {
                return try PartialFile(folder, name)
            } catch let error as KapsuleError where error.id == "io.not-found" {
                continue
            } catch let error as KapsuleError where error.id != "io.no-space" {
                return nil
            }
        }
        return nil
    }

    /// What is left under a name, for reading alone; nil where nothing is, and for what is not ours.
    public static func leftover(_ name: String, in directory: String) -> OpenFile? {
        let path = "\(directory)/\(folderName)/\(name)"
        guard let file = try? OpenFile.reading(path, followsLinks: false), let status = try? file.status(),
            status.owner == Ownership.effectiveUser
        else { return nil }
        return file
    }

    /// Removes what is left under names with this beginning, but for what other processes are at.
    public static func clear(_ prefix: String, in directory: String) {
        let folder = "\(directory)/\(folderName)"
        for name in (try? Directories.names(in: folder)) ?? [] where name.hasPrefix(prefix) {
            (try? PartialFile(folder, name))??.remove()
        }
        Directories.removeIfEmpty(folder)
    }

    private init?(_ folder: String, _ name: String) throws {
        self.folder = folder
        path = "\(folder)/\(name)"
        file = try OpenFile.updating(path, mode: 0o600)
        guard let lock = try FileLock.ifFree(file, .exclusive) else { return nil }
        self.lock = lock
        // Its last owner may have given it its final name while we waited: then it is whole, and nobody's to write to.
        let (opened, named) = (try file.status(), try FileStatus.of(path, followsLinks: false))
        guard opened.kind == .regular, opened.owner == Ownership.effectiveUser, opened.links == 1,
            opened.inode == named?.inode, opened.device == named?.device
        else { return nil }
        try file.setMode(0o600)
    }

    /// Bytes that are here.
    public func count() throws -> Int64 { try file.status().size }

    /// Gives it the name that it deserves.
    public func publish(as final: String, mode: UInt32) throws {
        try file.setMode(mode)
        try Directories.rename(path, to: final)
        Directories.removeIfEmpty(folder)
    }

    public func remove() {
        _ = try? Directories.removeFile(path)
        Directories.removeIfEmpty(folder)
    }
}
