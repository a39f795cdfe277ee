internal import CLinux
internal import Glibc

/// What the file system says of a file.
public struct FileStatus: Sendable, Hashable {
    public enum Kind: Sendable, Hashable { case regular, directory, symbolicLink, other }

    public let kind: Kind
    public let device: UInt64
    public let inode: UInt64
    /// In bytes.
    public let size: Int64
    /// Bytes that storage really holds; less than `size` for a file with holes.
    public let allocated: Int64
    /// The twelve permission bits.
    public let mode: UInt32
    public let owner: UInt32
    public let links: UInt64
    /// Nanoseconds since 1970.
    public let modified: Int64
    /// Nanoseconds since 1970; unlike `modified` it cannot be set by hand.
    public let changed: Int64

    /// Of the file at `path`; nil when there is none.
    ///
    /// - Parameter followsLinks: whether a symbolic link stands for its target.
    public static func of(_ path: String, followsLinks: Bool) throws -> FileStatus? {
        var raw = kapsule_status()
        let result = unsafe kapsule_status(AT_FDCWD, path, followsLinks ? 1 : 0, &raw)
        if result == -ENOENT || result == -ENOTDIR { return nil }
        try checked(result, "look at \(path)")
        return FileStatus(raw)
    }

    /// Of what is called `name` in a directory that is held open; nil when there is nothing.
    static func of(_ name: String, in directory: OpenFile) throws -> FileStatus? {
        var raw = kapsule_status()
        let result = unsafe kapsule_status(directory.descriptor, name, 0, &raw)
        if result == -ENOENT { return nil }
        try checked(result, "look at \(directory.path)/\(name)")
        return FileStatus(raw)
    }

    static func of(descriptor: Int32, named path: String) throws -> FileStatus {
        var raw = kapsule_status()
        try checked(unsafe kapsule_status(descriptor, "", 1, &raw), "look at \(path)")
        return FileStatus(raw)
    }

    private init(_ raw: kapsule_status) {
        switch raw.mode & S_IFMT {
        case S_IFREG: kind = .regular
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symbolicLink
        default: kind = .other
        }
        device = raw.device
        inode = raw.inode
        size = raw.size
        allocated = raw.blocks * 512
        mode = raw.mode & 0o7777
        owner = raw.owner
        links = raw.links
        modified = raw.modified_ns
        changed = raw.changed_ns
    }

    /// Whether both speak of the same bytes, as far as a file system can tell.
    public func isSameContent(as other: FileStatus) -> Bool {
        device == other.device && inode == other.inode && size == other.size && modified == other.modified
            && changed == other.changed
    }
}
