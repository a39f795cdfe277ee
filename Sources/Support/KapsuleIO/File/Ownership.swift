internal import Glibc

/// Who this process is to the file system.
public enum Ownership {
    /// The user whose rights files are opened with.
    public static var effectiveUser: UInt32 { geteuid() }
}
