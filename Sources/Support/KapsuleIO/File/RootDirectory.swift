internal import CLinux
internal import Glibc
internal import KapsuleCore

/// A directory whose insides are reached by paths that cannot lead out of it.
///
/// Paths are relative, without `.` and `..`. No symbolic link on the way is followed, whoever planted it and whenever:
/// the kernel refuses (openat2(2), RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS). The empty path is the directory itself.
public final class RootDirectory: Sendable {
    public let path: String
    private let root: OpenFile

    /// Holds on to the directory at `path`, which exists.
    public init(_ path: String) throws {
        self.path = path
        root = try OpenFile.directory(path)
    }

    /// A directory below; nil where nothing has that name.
    ///
    /// - Throws: `.conflict` when a link or a file stands there or on the way.
    public func directory(_ path: String) throws -> OpenFile? {
        if path.isEmpty { return root }
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
        let descriptor = unsafe kapsule_open_beneath(root.descriptor, path, flags, 0)
        switch -descriptor {
        case ENOENT: return nil
        case let number where number > 0: throw failure("open the directory", path, number)
        default: return OpenFile(descriptor: descriptor, path: whole(path))
        }
    }

    /// The nearest directory that exists, going up from `path`.
    public func nearestDirectory(_ path: String) throws -> OpenFile {
        var path = path
        while true {
            if let found = try directory(path) { return found }
            path = Self.split(path).parent
        }
    }

    /// A directory below, made with everything above it where there is none. New ones have the mode 0755.
    @discardableResult
    public func makeDirectory(_ path: String) throws -> OpenFile {
        if let found = try directory(path) { return found }
        let (parent, name) = Self.split(path)
        let above = try makeDirectory(parent)
        guard unsafe mkdirat(above.descriptor, name, 0o755) == 0 else {
            if errno == EEXIST, let found = try directory(path) { return found }
            throw failure("make the directory", path, errno)
        }
        guard let made = try directory(path) else { throw failure("open the directory", path, ENOENT) }
        try made.setMode(0o755)
        return made
    }

    /// Of what has that name, links not followed; nil where there is nothing.
    public func status(_ path: String) throws -> FileStatus? {
        let (parent, name) = Self.split(path)
        guard let directory = try directory(parent) else { return nil }
        return try FileStatus.of(name, in: directory)
    }

    /// Opens a regular file for reading.
    public func reading(_ path: String) throws -> OpenFile {
        let descriptor = unsafe kapsule_open_beneath(root.descriptor, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { throw failure("open", path, -descriptor) }
        return OpenFile(descriptor: descriptor, path: whole(path))
    }

    /// Makes a new file, open for reading and writing; its directory exists.
    public func creating(_ path: String, mode: UInt32) throws -> OpenFile {
        let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC
        let descriptor = unsafe kapsule_open_beneath(root.descriptor, path, flags, 0o600)
        guard descriptor >= 0 else { throw failure("create", path, -descriptor) }
        let file = OpenFile(descriptor: descriptor, path: whole(path))
        try file.setMode(mode)
        return file
    }

    /// Opens a regular file for reading and writing in place; an empty one where there is none.
    public func updating(_ path: String, mode: UInt32) throws -> OpenFile {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK
        let descriptor = unsafe kapsule_open_beneath(root.descriptor, path, flags, mode)
        guard descriptor >= 0 else { throw failure("open", path, -descriptor) }
        let file = OpenFile(descriptor: descriptor, path: whole(path))
        guard try file.status().kind == .regular else { throw failure("open", path, EEXIST) }
        return file
    }

    /// Of the directory itself.
    public func status() throws -> FileStatus { try root.status() }

    /// What a symbolic link says.
    public func linkTarget(_ path: String) throws -> String {
        let (parent, name) = Self.split(path)
        guard let directory = try directory(parent) else { throw failure("read the link", path, ENOENT) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe readlinkat(
                directory.descriptor, name, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard count >= 0 else { throw failure("read the link", path, errno) }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// Gives an unnamed file its name. Its directory exists.
    ///
    /// - Parameter replaces: whether a file or link of that name gives way, in one act.
    /// - Throws: `.conflict` where something has the name.
    public func commit(_ file: AtomicFile, as path: String, replaces: Bool) throws {
        try file.permit()
        try place(path, replaces: replaces) { directory, name in
            file.link(in: directory, as: name)
        }
    }

    /// Makes a symbolic link that says `target`, which nobody checks here.
    public func makeLink(_ path: String, to target: String, replaces: Bool) throws {
        try place(path, replaces: replaces) { directory, name in
            unsafe symlinkat(target, directory.descriptor, name) == 0 ? 0 : -errno
        }
    }

    /// Gives the file at `existing` a second name.
    public func makeHardLink(_ path: String, to existing: String, replaces: Bool) throws {
        let (parent, source) = Self.split(existing)
        guard let from = try directory(parent) else { throw failure("link", existing, ENOENT) }
        try place(path, replaces: replaces) { directory, name in
            unsafe linkat(from.descriptor, source, directory.descriptor, name, 0) == 0 ? 0 : -errno
        }
    }

    /// Gives the file at `existing` another name instead of the one it has.
    public func move(_ existing: String, to path: String, replaces: Bool) throws {
        let (parent, source) = Self.split(existing)
        let (newParent, name) = Self.split(path)
        guard let from = try directory(parent), let to = try directory(newParent) else {
            throw failure("move", existing, ENOENT)
        }
        let result =
            replaces
            ? (unsafe renameat(from.descriptor, source, to.descriptor, name) == 0 ? 0 : -errno)
            : unsafe kapsule_rename_noreplace(from.descriptor, source, to.descriptor, name)
        if result < 0 { throw failure("create", path, -result) }
    }

    /// Removes a file, a link or an empty directory; says whether there was one.
    @discardableResult
    public func remove(_ path: String) throws -> Bool {
        let (parent, name) = Self.split(path)
        guard let directory = try directory(parent) else { return false }
        if unsafe unlinkat(directory.descriptor, name, 0) == 0 { return true }
        if errno == EISDIR || errno == EPERM, unsafe unlinkat(directory.descriptor, name, AT_REMOVEDIR) == 0 {
            return true
        }
        switch errno {
        case ENOENT: return false
        case let number: throw failure("remove", path, number)
        }
    }

    /// Makes something under its name, or under another for a moment and then renamed over what is there.
    private func place(_ path: String, replaces: Bool, _ make: (OpenFile, String) -> Int32) throws {
        let (parent, name) = Self.split(path)
        guard let directory = try directory(parent) else { throw failure("create", path, ENOENT) }
        let result = make(directory, name)
        if result == 0 { return }
        guard result == -EEXIST, replaces else { throw failure("create", path, -result) }
        let between = AtomicFile.temporaryPrefix + String(UInt64.random(in: .min ... .max), radix: 36)
        let second = make(directory, between)
        guard second == 0 else { throw failure("create", path, -second) }
        guard unsafe renameat(directory.descriptor, between, directory.descriptor, name) == 0 else {
            let number = errno
            _ = unsafe unlinkat(directory.descriptor, between, 0)
            throw failure("replace", path, number)
        }
        // Where both are one file already, rename does nothing and leaves both names.
        _ = unsafe unlinkat(directory.descriptor, between, 0)
    }

    private func whole(_ path: String) -> String { path.isEmpty ? self.path : "\(self.path)/\(path)" }

    private func failure(_ doing: String, _ path: String, _ number: Int32) -> KapsuleError {
        switch number {
        case ELOOP, ENOTDIR, EXDEV:
            KapsuleError(
                .conflict, id: "output.in-the-way",
                "cannot \(doing) \(whole(path)): a symbolic link or a file stands where a directory should be",
                remedy: "remove it, or choose another place")
        case EEXIST, EISDIR, ENOTEMPTY:
            KapsuleError(
                .conflict, id: "output.exists", "cannot \(doing) \(whole(path)): something else has that name",
                remedy: "use --force to replace a file; a directory has to be removed by hand")
        default: KapsuleError.system("\(doing) \(whole(path))", errno: number)
        }
    }

    /// The last part, and what is before it.
    private static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }
}
