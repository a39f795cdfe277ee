import KapsuleCore
import KapsuleIO

/// Where content waits for its layer to be verified: unnamed files, and when those become too many for the descriptors
/// a process may have, a hidden folder in the target.
///
/// The folder holds a lock while it is used. A killed process leaves it unlocked; the next unpacking removes it.
final class Staging {
    static let folderPrefix = AtomicFile.temporaryPrefix + "stage-"
    private static let lockName = "lock"

    private let root: RootDirectory
    private let limit: Int
    private var held = 0
    private var folder: (name: String, lock: FileLock)?
    private var count = 0

    init(_ root: RootDirectory, limit: Int) {
        self.root = root
        self.limit = limit
    }

    deinit { if let folder { Self.removeFolder(folder.name, in: root) } }

    /// A place for the content of a file that will be in `directory`.
    func place(in directory: String, mode: UInt32) throws -> HeldFile.Place {
        if held < limit {
            held += 1
            // In the directory it will be in where there is one: that may be another file system.
            return .unnamed(try AtomicFile(in: root.nearestDirectory(directory), mode: mode))
        }
        let folder = try folder ?? makeFolder()
        self.folder = folder
        count += 1
        let name = "\(folder.name)/\(count)"
        return .staged(name, try root.creating(name, mode: mode))
    }

    private func makeFolder() throws -> (String, FileLock) {
        let name = Self.folderPrefix + String(UInt64.random(in: .min ... .max), radix: 36)
        try root.makeDirectory(name)
        return (name, try FileLock("\(root.path)/\(name)/\(Self.lockName)", .exclusive))
    }

    /// Removes what killed processes left.
    static func removeAbandoned(in root: RootDirectory) throws {
        for name in try Directories.names(in: root.path) where name.hasPrefix(folderPrefix) {
            guard try root.status(name)?.kind == .directory,
                let lock = try FileLock.ifFree("\(root.path)/\(name)/\(lockName)", .exclusive)
            else { continue }
            removeFolder(name, in: root)
            withExtendedLifetime(lock) {}
        }
    }

    /// What cannot be removed stays, hidden, for the next time.
    private static func removeFolder(_ name: String, in root: RootDirectory) {
        for file in (try? Directories.names(in: "\(root.path)/\(name)")) ?? [] {
            _ = try? root.remove("\(name)/\(file)")
        }
        _ = try? root.remove(name)
    }
}
