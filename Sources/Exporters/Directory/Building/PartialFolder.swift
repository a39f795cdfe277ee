import KapsuleCore
import KapsuleIO
import Synchronization

/// Where the files of a directory wait until all of it is whole: unnamed, or in a hidden folder of the directory.
///
/// A file whose digest its source promised lies in the folder under that digest, so that the next run of a killed build
/// finds what it has of it. The name says which content is wanted and nothing of what is there: whoever takes up such a
/// file hashes it. The folder has the mode 0700 and its files 0600; one process at a time uses it.
final class PartialFolder: Sendable {
    static let name = AtomicFile.temporaryPrefix + "partial"
    private static let lockName = "lock"
    /// Files that nobody will find again.
    private static let newPrefix = "new-"

    private let root: RootDirectory
    /// Names of the files with promised digests, by their index in the bundle.
    private let names: [Int: String]
    /// Most files that are held open without a name.
    private let limit: Int
    private let state = Mutex(State())

    private struct State {
        var lock: FileLock?
        var unnamed = 0
        var count = 0
    }

    /// - Parameter promised: digests of files whose source vouches for them, by index.
    init(_ root: RootDirectory, promised: [Int: Digest], limit: Int) {
        self.root = root
        self.limit = limit
        var copies: [Digest: Int] = [:]
        var names: [Int: String] = [:]
        for (index, digest) in promised.sorted(by: { $0.key < $1.key }) {
            // Two files of one content are two files.
            let copy = copies[digest, default: 0]
            names[index] = copy == 0 ? digest.hex : "\(digest.hex)-\(copy)"
            copies[digest] = copy + 1
        }
        self.names = names
    }

    /// Leaves what a further run can go on from, and nothing else.
    deinit {
        guard state.withLock({ $0.lock != nil }) else { return }
        let kept = Set(names.values)
        clear { !kept.contains($0) }
        removeIfEmpty()
    }

    // MARK: Places

    /// A place for file `index`, and how many bytes of it are there from an earlier run.
    func place(for index: Int, in directory: String) throws -> (HeldFile.Place, kept: Int64) {
        let nearest = try root.nearestDirectory(directory)
        // What is on another file system cannot be given its name from here.
        guard try nearest.status().device == root.status().device else {
            return (.unnamed(try AtomicFile(in: nearest)), 0)
        }
        if let name = names[index] {
            try open()
            let file = try root.updating("\(Self.name)/\(name)", mode: 0o600)
            return (.staged("\(Self.name)/\(name)", file), try file.status().size)
        }
        let number = state.withLock { state in
            state.unnamed += 1
            return state.unnamed
        }
        guard number > limit else { return (.unnamed(try AtomicFile(in: nearest)), 0) }
        try open()
        let name = "\(Self.name)/\(Self.newPrefix)\(number)"
        return (.staged(name, try root.creating(name, mode: 0o600)), 0)
    }

    /// What an earlier run left of file `index`.
    func salvaged(_ index: Int) throws -> FileSource? {
        guard let name = names[index], state.withLock({ $0.lock != nil }),
            try root.status("\(Self.name)/\(name)")?.kind == .regular
        else { return nil }
        return try FileSource(root.reading("\(Self.name)/\(name)"))
    }

    /// Bytes that are there of file `index`, good or not.
    func size(of index: Int) -> Int64 {
        guard let name = names[index] else { return 0 }
        return (try? root.status("\(Self.name)/\(name)"))?.flatMap(\.size) ?? 0
    }

    /// Removes what is there of file `index`: it is not what was promised.
    func discard(_ index: Int) {
        if let name = names[index], state.withLock({ $0.lock != nil }) { _ = try? root.remove("\(Self.name)/\(name)") }
    }

    /// Everything has its name: the folder goes, with what older builds left in it.
    func remove() throws {
        guard try root.status(Self.name)?.kind == .directory else { return }
        try open()
        clear { _ in true }
        removeIfEmpty()
    }

    // MARK: The folder

    /// Makes the folder where there is none, locks it, and removes what belongs to other builds.
    ///
    /// - Throws: `.unavailable` when another process uses it.
    private func open() throws {
        try state.withLock { state in
            guard state.lock == nil else { return }
            state.lock = try lock()
            let wanted = Set(names.values)
            clear { !wanted.contains($0) }
        }
    }

    private func lock() throws -> FileLock {
        let path = "\(root.path)/\(Self.name)/\(Self.lockName)"
        while true {
            try root.makeDirectory(Self.name).setMode(0o700)
            guard let lock = try FileLock.ifFree(path, .exclusive) else {
                throw KapsuleError(
                    .unavailable, id: "directory.busy", "another kapsule is writing to \(root.path)",
                    remedy: "wait until it has ended, then run the command again")
            }
            // Whoever had it may have removed the folder in the meantime.
            if try lock.isStill(at: path) { return lock }
        }
    }

    private func clear(_ isUnwanted: (String) -> Bool) {
        for name in (try? Directories.names(in: "\(root.path)/\(Self.name)")) ?? []
        where name != Self.lockName && isUnwanted(name) {
            _ = try? root.remove("\(Self.name)/\(name)")
        }
    }

    private func removeIfEmpty() {
        guard (try? Directories.names(in: "\(root.path)/\(Self.name)")) == [Self.lockName] else { return }
        _ = try? root.remove("\(Self.name)/\(Self.lockName)")
        _ = try? root.remove(Self.name)
        state.withLock { $0.lock = nil }
    }
}
