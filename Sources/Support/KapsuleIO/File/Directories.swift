internal import CLinux
internal import Glibc
internal import KapsuleCore

/// Directories, by path.
public enum Directories {
    /// Makes `path` and everything above it; does nothing where it exists.
    public static func make(_ path: String, mode: UInt32 = 0o755) throws {
        if unsafe mkdir(path, mode) == 0 || errno == EEXIST {
            guard try FileStatus.of(path, followsLinks: true)?.kind == .directory else {
                throw KapsuleError(
                    .conflict, id: "output.not-a-directory", "cannot make the directory \(path): a file has that name",
                    remedy: "remove it, or choose another place")
            }
            return
        }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw KapsuleError.system("make the directory \(path)", errno: errno)
        }
        try make(String(path[..<slash]), mode: mode)
        guard unsafe mkdir(path, mode) == 0 || errno == EEXIST else {
            throw KapsuleError.system("make the directory \(path)", errno: errno)
        }
    }

    /// Names in a directory, without `.` and `..`, ascending by their bytes. A name that is not UTF-8 is refused.
    public static func names(in path: String) throws -> [String] {
        guard let stream = unsafe opendir(path) else { throw KapsuleError.system("list \(path)", errno: errno) }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(validatingCString: $0) }
            }
            guard let name else {
                throw KapsuleError(
                    .usage, id: "io.name", "\(path) holds a file whose name is not UTF-8",
                    remedy: "rename it: names in models and images are UTF-8")
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Removes a file; says whether there was one.
    @discardableResult
    public static func removeFile(_ path: String) throws -> Bool {
        if unsafe unlink(path) == 0 { return true }
        if errno == ENOENT { return false }
        throw KapsuleError.system("remove \(path)", errno: errno)
    }

    /// Removes an empty directory; says whether it did.
    @discardableResult
    public static func removeIfEmpty(_ path: String) -> Bool { unsafe rmdir(path) == 0 }

    /// Gives a file another name in one act; a file that has that name already is replaced.
    public static func rename(_ from: String, to path: String) throws {
        guard unsafe Glibc.rename(from, path) == 0 else {
            throw KapsuleError.system("rename \(from) to \(path)", errno: errno)
        }
    }

    /// What a symbolic link says.
    public static func linkTarget(_ path: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe readlink(path, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard count >= 0 else { throw KapsuleError.system("read the link \(path)", errno: errno) }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// Absolute, with every link resolved; nil when a part does not exist.
    public static func realPath(_ path: String) -> String? {
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// Bytes an unprivileged process may still write below `path`, which exists.
    public static func freeBytes(at path: String) throws -> Int64 {
        try checked(unsafe kapsule_free_bytes(path), "look at the file system of \(path)")
    }

    /// The working directory, absolute.
    public static func current() throws -> String {
        guard let path = realPath(".") else { throw KapsuleError.system("find the working directory", errno: errno) }
        return path
    }
}
