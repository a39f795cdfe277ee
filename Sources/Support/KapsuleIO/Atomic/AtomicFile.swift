internal import CLinux
internal import Glibc
internal import KapsuleCore

/// A file that gets its name when it is whole.
///
/// It is unnamed (`O_TMPFILE`) until `commit`, so a killed process leaves nothing behind. Where the file system has no
/// unnamed files, a name beginning with `.kapsule-` stands in, and is removed when the value goes.
public final class AtomicFile: Sendable {
    public enum Existing: Sendable {
        /// A file of that name makes `commit` fail with `.conflict`.
        case refuse
        /// A file of that name is replaced in one act.
        case replace
        /// A file of that name wins: it is known to have the same content.
        case keep
    }

    public let file: OpenFile
    private let directory: String
    // Keeps a directory open whose name in /proc is still needed.
    private let holder: OpenFile?
    private let temporaryName: String?
    private let partial: PartialFile?
    /// Permission bits in the end.
    private let mode: UInt32
    private static let ownerWrites: UInt32 = 0o200

    /// - Parameters:
    ///   - directory: where the file will be; exists already.
    ///   - mode: permission bits in the end, whatever the umask.
    public convenience init(in directory: String, mode: UInt32 = 0o644) throws {
        try self.init(directory, named: directory, holder: nil, mode: mode)
    }

    /// In a file that an earlier run has left and that a further one finds, should this one be killed: what is there stays
    /// until it is written over.
    ///
    /// - Parameter partial: nil for a file like any other.
    public convenience init(continuing partial: PartialFile?, in directory: String, mode: UInt32 = 0o644) throws {
        guard let partial else {
            try self.init(in: directory, mode: mode)
            return
        }
        self.init(partial, directory, mode: mode)
    }

    private init(_ partial: PartialFile, _ directory: String, mode: UInt32) {
        (self.partial, self.directory, self.mode, file) = (partial, directory, mode, partial.file)
        (holder, temporaryName) = (nil, nil)
    }

    /// In a directory that is held open, wherever its name leads by now.
    public convenience init(in directory: OpenFile, mode: UInt32 = 0o644) throws {
        try self.init(
            "/proc/self/fd/\(directory.descriptor)", named: directory.path, holder: directory, mode: mode)
    }

    private init(_ directory: String, named shown: String, holder: OpenFile?, mode: UInt32) throws {
        self.directory = directory
        self.mode = mode
        partial = nil
        let flags = O_RDWR | O_CLOEXEC
        let unnamed = unsafe kapsule_open(directory, flags | kapsule_o_tmpfile(), 0o600)
        if unnamed >= 0 {
            temporaryName = nil
            self.holder = nil
            file = OpenFile(descriptor: unnamed, path: "a new file in \(shown)")
        } else if [EOPNOTSUPP, EISDIR, EINVAL].contains(-unnamed) {
            let name = Self.freshName()
            let named = unsafe kapsule_open("\(directory)/\(name)", flags | O_CREAT | O_EXCL, 0o600)
            temporaryName = name
            self.holder = holder
            file = OpenFile(descriptor: try checked(named, "make a file in \(shown)"), path: "\(shown)/\(name)")
        } else {
            throw KapsuleError.system("make a file in \(shown)", errno: -unnamed)
        }
        // Its owner may open it once more to write, until it has its name.
        try file.setMode(mode | Self.ownerWrites)
    }

    deinit {
        if let temporaryName { _ = unsafe unlink("\(directory)/\(temporaryName)") }
    }

    /// Leaves nothing for a further run.
    public func discard() { partial?.remove() }

    /// Names beginning so are leftovers of a killed process, and may be removed when no kapsule runs.
    public static let temporaryPrefix = ".kapsule-"

    private static func freshName() -> String {
        temporaryPrefix + String(UInt64.random(in: UInt64.min...UInt64.max), radix: 36)
    }

    /// Makes the file visible as `path`, which lies on the file system of the directory it was made in.
    public func commit(as path: String, existing: Existing = .refuse) throws {
        try permit()
        try give(path, existing)
        discard()
    }

    private func give(_ path: String, _ existing: Existing) throws {
        if existing == .replace, try FileStatus.of(path, followsLinks: false) != nil {
            return try replace(path)
        }
        let result = link(as: path)
        switch -result {
        case Int32(0): return
        case EEXIST where existing == .keep: return
        case EEXIST where existing == .replace: try replace(path)
        case EEXIST:
            throw KapsuleError(
                .conflict, id: "output.exists", "\(path) exists already", remedy: "use --force to replace it")
        default: throw KapsuleError.system("create \(path)", errno: -result)
        }
    }

    /// A name for a moment, then one rename: whoever opens `path` sees the old file or the new one.
    private func replace(_ path: String) throws {
        let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let between = "\(parent.isEmpty ? (path.hasPrefix("/") ? "" : ".") : parent)/\(Self.freshName())"
        try checked(link(as: between), "create \(path)")
        guard unsafe rename(between, path) == 0 else {
            let number = errno
            _ = unsafe unlink(between)
            throw KapsuleError.system("replace \(path)", errno: number)
        }
    }

    /// Gives it the permission bits that it has in the end.
    func permit() throws {
        if partial != nil || mode & Self.ownerWrites == 0 { try file.setMode(mode) }
    }

    /// What it has in place of its own; nil where it has none at all.
    private var name: String? { partial?.path ?? temporaryName.map { "\(directory)/\($0)" } }

    /// 0 or -errno.
    private func link(as path: String) -> Int32 {
        guard let name else { return unsafe kapsule_link_descriptor(file.descriptor, AT_FDCWD, path) }
        return unsafe Glibc.link(name, path) == 0 ? 0 : -errno
    }

    /// Gives the file the name `name` in a directory that is held open. 0 or -errno.
    func link(in directory: OpenFile, as name: String) -> Int32 {
        guard let from = self.name else {
            return unsafe kapsule_link_descriptor(file.descriptor, directory.descriptor, name)
        }
        return unsafe linkat(AT_FDCWD, from, directory.descriptor, name, 0) == 0 ? 0 : -errno
    }

    /// Writes a small file in one act and waits until it is on the device.
    public static func write(
        _ bytes: [UInt8], to path: String, mode: UInt32 = 0o644, existing: Existing = .replace
    ) throws {
        let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let directory = parent.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : parent
        let atomic = try AtomicFile(in: directory, mode: mode)
        try atomic.file.write(bytes.span, at: 0)
        try atomic.file.synchronize()
        try atomic.commit(as: path, existing: existing)
    }
}
