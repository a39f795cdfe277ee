internal import Glibc
public import KapsuleCore

extension KapsuleError {
    /// A failed system call as something a person can act on.
    ///
    /// - Parameters:
    ///   - doing: what was tried, with the object: `open /models/a.gguf`.
    ///   - errno: positive error number.
    public static func system(_ doing: String, errno number: Int32) -> KapsuleError {
        let reason = unsafe String(cString: strerror(number))
        switch number {
        case ENOSPC, EDQUOT:
            return KapsuleError(
                .noSpace, id: "io.no-space", "cannot \(doing): \(reason)",
                remedy: "free some space there, or write elsewhere")
        case ENOENT, ENOTDIR:
            return KapsuleError(
                .usage, id: "io.not-found", "cannot \(doing): \(reason)", remedy: "check the path for a typing mistake")
        case EACCES, EPERM:
            return KapsuleError(
                .usage, id: "io.permission", "cannot \(doing): \(reason)",
                remedy: "run as a user who may do this, or change the permissions")
        case EROFS:
            return KapsuleError(
                .usage, id: "io.read-only", "cannot \(doing): \(reason)", remedy: "write to another file system")
        case EIO:
            return KapsuleError(
                .unavailable, id: "io.device", "cannot \(doing): \(reason)",
                remedy: "the device reports an error; check the kernel log and the disk")
        case EMFILE, ENFILE:
            return KapsuleError(
                .unavailable, id: "io.descriptors", "cannot \(doing): \(reason)",
                remedy: "raise the limit of open files (ulimit -n), or lower --concurrency")
        default:
            return KapsuleError(.usage, id: "io.failed", "cannot \(doing): \(reason)")
        }
    }
}

/// Checks the result of a `CLinux` function, which is -errno on failure.
@discardableResult
func checked<T: SignedInteger>(_ result: T, _ doing: @autoclosure () -> String) throws -> T {
    guard result >= 0 else { throw KapsuleError.system(doing(), errno: Int32(-result)) }
    return result
}
