import KapsuleCore
import KapsuleIO
import Synchronization

/// The directory that an output is written to: what is there, what may be replaced, and where new files wait.
///
/// It is made when something is first written to it.
final class DirectoryFiles: Sendable {
    let path: String
    let replaces: Bool
    private let promised: [Int: Digest]
    private let opened = Mutex<(root: RootDirectory, partial: PartialFolder)?>(nil)

    /// - Parameter promised: digests of files whose source vouches for them, by their index in the bundle.
    init(_ path: String, replaces: Bool, promised: [Int: Digest]) {
        self.path = path
        self.replaces = replaces
        self.promised = promised
    }

    func root() throws -> RootDirectory { try open().root }

    private func open() throws -> (root: RootDirectory, partial: PartialFolder) {
        try opened.withLock { opened in
            if let opened { return opened }
            try Directories.make(path)
            let root = try RootDirectory(path)
            let made = (root, PartialFolder(root, promised: promised, limit: min(OpenFileLimit.raise() / 2, 4096)))
            opened = made
            return made
        }
    }

    /// Nil where it would have to be made.
    private func ifThere() throws -> (root: RootDirectory, partial: PartialFolder)? {
        if let opened = opened.withLock(\.self) { return opened }
        return try FileStatus.of(path, followsLinks: true) == nil ? nil : try open()
    }

    // MARK: What is there

    /// - Throws: `.conflict` when something is at `place` that is not a file of `size` bytes, and may not be replaced.
    func checkFree(_ place: BundlePath, for size: Int64) throws {
        guard let status = try ifThere()?.root.status(place.text), status.kind != .regular || status.size != size else {
            return
        }
        try checkReplaceable(place, status)
    }

    /// - Throws: `.conflict` when what is at `place` may not be replaced.
    func checkReplaceable(_ place: BundlePath) throws {
        if let status = try ifThere()?.root.status(place.text) { try checkReplaceable(place, status) }
    }

    private func checkReplaceable(_ place: BundlePath, _ status: FileStatus) throws {
        // A directory may hold anything: it is never replaced.
        guard replaces, status.kind != .directory else { throw KapsuleError.occupied(place, in: path) }
    }

    /// A regular file of that size.
    func existing(_ place: BundlePath, size: Int64) throws -> OpenFile? {
        guard let root = try ifThere()?.root, let status = try root.status(place.text), status.kind == .regular,
            status.size == size
        else { return nil }
        return try root.reading(place.text)
    }

    /// Bytes that still have to be written for file `index`.
    func missing(_ place: BundlePath, index: Int, size: Int64) -> Int64 {
        guard let there = try? ifThere() else { return size }
        if let status = try? there.root.status(place.text), status.kind == .regular, status.size == size { return 0 }
        return max(0, size - there.partial.size(of: index))
    }

    // MARK: Content

    /// - Parameter comparesExisting: whether an existing file is kept as long as it equals what comes.
    func hold(_ file: PlacedFile, index: Int, size: Int64, comparesExisting: Bool) throws -> HeldFile {
        let (root, partial) = try open()
        let directory = file.path.ancestors.last ?? ""
        if comparesExisting, let existing = try existing(file.path, size: size) {
            return try HeldFile(.existing(existing), size: size) { [replaces, path] in
                guard replaces else { throw KapsuleError.occupied(file.path, in: path) }
                return try partial.place(for: index, in: directory).0
            }
        }
        if let status = try root.status(file.path.text) { try checkReplaceable(file.path, status) }
        let (place, kept) = try partial.place(for: index, in: directory)
        return try HeldFile(place, size: size, kept: kept) { place }
    }

    func salvaged(_ index: Int) throws -> FileSource? { try ifThere()?.partial.salvaged(index) }
    func discard(_ index: Int) { (try? ifThere())?.partial.discard(index) }

    // MARK: Names

    /// Gives a whole file its name.
    func publish(_ place: HeldFile.Place, as file: PlacedFile) throws {
        let root = try root()
        if let parent = file.path.ancestors.last { try root.makeDirectory(parent) }
        switch place {
        case .existing: return
        case .unnamed(let atomic):
            try atomic.file.setMode(file.mode)
            try root.commit(atomic, as: file.path.text, replaces: replaces)
        case .staged(let name, _):
            try root.reading(name).setMode(file.mode)
            try root.move(name, to: file.path.text, replaces: replaces)
        }
    }

    /// - Throws: `.conflict` when something else than `bytes` is at `place`, and may not be replaced.
    func expect(_ place: String, _ bytes: [UInt8]) throws {
        let path = try BundlePath(validating: place)
        guard let file = try existing(path, size: Int64(bytes.count)) else {
            return try checkFree(path, for: Int64(bytes.count))
        }
        var block: [UInt8] = []
        if try !file.holds(bytes.span, at: 0, block: &block) { try checkReplaceable(path) }
    }

    /// What the link at `place` says; nil where there is no link.
    func linkTarget(_ place: BundlePath) throws -> String? {
        guard let root = try ifThere()?.root, try root.status(place.text)?.kind == .symbolicLink else { return nil }
        return try root.linkTarget(place.text)
    }

    /// Writes a small file under its name; leaves one that is equal.
    ///
    /// - Parameter replaces: whether another file gives way; nil for what holds for the directory.
    func put(_ place: String, _ bytes: [UInt8], replaces: Bool? = nil) throws {
        let path = try BundlePath(validating: place)
        let root = try root()
        if let file = try existing(path, size: Int64(bytes.count)) {
            var block: [UInt8] = []
            if try file.holds(bytes.span, at: 0, block: &block) { return }
        }
        let atomic = try AtomicFile(in: root.makeDirectory(path.ancestors.last ?? ""))
        try atomic.file.write(bytes.span, at: 0)
        try root.commit(atomic, as: place, replaces: replaces ?? self.replaces)
    }

    func removePartial() throws { try open().partial.remove() }
}

extension KapsuleError {
    /// A file with other content stands where one is to be written.
    static func occupied(_ path: BundlePath, in directory: String) -> KapsuleError {
        KapsuleError(
            .conflict, id: "unpack.exists", "\(directory)/\(path) is there already, with other content",
            remedy: "use --force to replace it, or choose another directory")
    }
}
