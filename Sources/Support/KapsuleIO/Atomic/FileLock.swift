internal import CLinux
internal import Glibc
internal import KapsuleCore

/// A lock between processes, held as long as the value lives and released by the kernel when its holder dies.
public final class FileLock: Sendable {
    public enum Kind: Sendable {
        /// Many holders at once.
        case shared
        /// One holder, and no shared ones.
        case exclusive
    }

    private let file: OpenFile

    /// Takes the lock at `path`, making the file when there is none. Waits for other holders.
    public convenience init(_ path: String, _ kind: Kind) throws {
        try self.init(file: Self.open(path), kind, waits: true)!
    }

    /// Nil when somebody else holds the lock.
    public static func ifFree(_ path: String, _ kind: Kind) throws -> FileLock? {
        try FileLock(file: open(path), kind, waits: false)
    }

    /// Whether what is locked is still what has this name.
    public func isStill(at path: String) throws -> Bool {
        let (mine, there) = (try file.status(), try FileStatus.of(path, followsLinks: false))
        return there?.inode == mine.inode && there?.device == mine.device
    }

    /// The same on a file that is open already.
    public static func ifFree(_ file: OpenFile, _ kind: Kind) throws -> FileLock? {
        try FileLock(file: file, kind, waits: false)
    }

    private static func open(_ path: String) throws -> OpenFile {
        let descriptor = unsafe kapsule_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        return OpenFile(descriptor: try checked(descriptor, "open the lock \(path)"), path: path)
    }

    private init?(file: OpenFile, _ kind: Kind, waits: Bool) throws {
        self.file = file
        let operation = (kind == .shared ? LOCK_SH : LOCK_EX) | (waits ? 0 : LOCK_NB)
        while flock(file.descriptor, operation) != 0 {
            switch errno {
            case EINTR: try Task.checkNotInterrupted()
            case EWOULDBLOCK: return nil
            default: throw KapsuleError.system("lock \(file.path)", errno: errno)
            }
        }
    }
}
