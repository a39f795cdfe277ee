internal import KapsuleCore

/// One entry of an archive that is read. Nothing in it is trusted: paths may be absolute, climb, or lie.
public struct TarEntry: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case file
        case directory
        case symbolicLink(to: String)
        /// To the path of an entry that came before.
        case hardLink(to: String)
        /// A device or a pipe.
        case special
    }

    /// As in the archive; a directory's without its last `/`. Not empty, UTF-8, without NUL.
    public let path: String
    public let kind: Kind
    /// Of the content, in bytes; 0 for everything but a file.
    public let size: Int64
    /// The permission bits, as far as they were given.
    public let mode: UInt32
    /// Where the content begins, from the start of the archive.
    public let contentOffset: Int64
}

/// Limits on what an archive may ask of its reader.
public enum TarLimit {
    /// Longest pax header or GNU long name, in bytes. It is held in memory.
    public static let extensionSize: Int64 = 1 << 20
    /// Longest file, in bytes: a pebibyte is longer than any storage, and far from overflow.
    public static let fileSize: Int64 = 1 << 50
    /// Most entries that an index lists.
    public static let entries = 1_000_000
}

/// The refusals of the tar readers. All `.unverified`, with the place in the archive.
struct TarProblem {
    let what: String

    func malformed(_ reason: String, at offset: Int64) -> KapsuleError {
        malformed("tar.malformed", reason, at: offset)
    }

    func malformed(_ id: String, _ reason: String, at offset: Int64) -> KapsuleError {
        KapsuleError(
            .unverified, id: id, "\(what) is not a sound tar archive: \(reason), at byte \(offset)",
            remedy: "fetch or build it again; if it happens again, it was made wrong")
    }

    func truncated(at offset: Int64) -> KapsuleError {
        malformed("tar.truncated", "it ends before its end mark", at: offset)
    }

    func unsupported(_ reason: String, at offset: Int64) -> KapsuleError {
        KapsuleError(
            .unverified, id: "tar.unsupported", "\(what) holds \(reason), at byte \(offset)",
            remedy: "write the archive again as ustar, pax or GNU tar, without sparse files")
    }
}
