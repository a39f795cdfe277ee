internal import CLinux
internal import Glibc
public import KapsuleCore

/// An open descriptor, closed when the last reference goes. Offsets are explicit, so threads can share it.
public final class OpenFile: Sendable {
    public let descriptor: Int32
    /// For messages; the file may have another name by now, or none.
    public let path: String

    /// Takes over `descriptor`.
    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Opens a regular file for reading. Refuses directories, devices, sockets and pipes by name, without blocking.
    ///
    /// - Parameter followsLinks: whether the last part of the path may be a symbolic link.
    public static func reading(_ path: String, followsLinks: Bool = true) throws -> OpenFile {
        // O_NONBLOCK: opening a pipe nobody writes to must not hang; it does nothing to a regular file.
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (followsLinks ? 0 : O_NOFOLLOW)
        let descriptor = try checked(unsafe kapsule_open(path, flags, 0), "open \(path)")
        let file = OpenFile(descriptor: descriptor, path: path)
        guard try file.status().kind == .regular else {
            throw KapsuleError(
                .usage, id: "io.not-a-file", "cannot read \(path): it is not a regular file",
                remedy: "name a file; directories, devices, sockets and pipes cannot be read as one")
        }
        return file
    }

    /// Opens a file for reading and writing in place; an empty one where there is none.
    public static func updating(_ path: String, mode: UInt32 = 0o644) throws -> OpenFile {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
        return OpenFile(descriptor: try checked(unsafe kapsule_open(path, flags, mode), "open \(path)"), path: path)
    }

    /// Opens a directory, to hold on to it while paths below it are used.
    public static func directory(_ path: String) throws -> OpenFile {
        let descriptor = try checked(
            unsafe kapsule_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), "open directory \(path)")
        return OpenFile(descriptor: descriptor, path: path)
    }

    public func status() throws -> FileStatus { try FileStatus.of(descriptor: descriptor, named: path) }

    /// Reads up to `limit` bytes at `offset` to the front of `block`. Returns how many; 0 at the end of the file.
    public func read(at offset: Int64, into block: inout [UInt8], limit: Int) throws -> Int {
        precondition(limit <= block.count, "a block holds what is read into it")
        let descriptor = descriptor
        while true {
            let count = unsafe block.withUnsafeMutableBufferPointer {
                unsafe pread(descriptor, $0.baseAddress, limit, off_t(offset))
            }
            if count >= 0 { return count }
            if errno != EINTR { throw KapsuleError.system("read \(path)", errno: errno) }
        }
    }

    /// Reads up to `limit` bytes at `offset` behind what is in `block`. Returns how many; 0 at the end of the file.
    public func read(at offset: Int64, into block: ByteBlock, limit: Int) throws -> Int {
        while true {
            var number: Int32 = 0
            let count = unsafe block.fill(upTo: limit) {
                let count = unsafe pread(descriptor, $0.baseAddress, $0.count, off_t(offset))
                if count < 0 { number = errno }
                return max(0, count)
            }
            if number == 0 { return count }
            if number != EINTR { throw KapsuleError.system("read \(path)", errno: number) }
        }
    }

    /// Whether the file has these bytes at `offset`.
    ///
    /// - Parameter block: room for what is read; grows as needed, and is best used again.
    public func holds(_ bytes: Span<UInt8>, at offset: Int64, block: inout [UInt8]) throws -> Bool {
        if block.count < bytes.count { block = [UInt8](repeating: 0, count: bytes.count) }
        var done = 0
        while done < bytes.count {
            let count = try read(at: offset + Int64(done), into: &block, limit: bytes.count - done)
            guard count > 0 else { return false }
            // Both hold `count` bytes: it was at most what `bytes` has left, and `block` is no shorter than that.
            let isEqual = unsafe bytes.extracting(droppingFirst: done).withUnsafeBufferPointer { mine in
                unsafe block.withUnsafeBufferPointer { theirs in
                    unsafe memcmp(mine.baseAddress!, theirs.baseAddress!, count) == 0
                }
            }
            guard isEqual else { return false }
            done += count
        }
        return true
    }

    /// Bytes that one system call writes at most. Longer writes make Linux fill its page cache with larger folios, which
    /// take up to three times as long to come by (`docs/architecture.md` has the figures).
    private static let longestWrite = 64 << 10

    /// Writes all of `bytes` at `offset`.
    public func write(_ bytes: Span<UInt8>, at offset: Int64) throws {
        var done = 0
        while done < bytes.count {
            let start = Int(offset) + done
            let part = bytes.extracting(
                done..<min(bytes.count, done + Self.longestWrite - start % Self.longestWrite))
            let count = unsafe part.withUnsafeBufferPointer {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(start))
            }
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                throw KapsuleError.system("write \(path)", errno: errno)
            }
        }
    }

    /// Writes with one system call; says how many bytes it took.
    ///
    /// - Parameter refusals: error numbers that count as none taken.
    func writeOnce(_ bytes: Span<UInt8>, at offset: Int64, orNothing refusals: [Int32]) throws -> Int {
        while true {
            let count = unsafe bytes.withUnsafeBufferPointer {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset))
            }
            if count >= 0 { return count }
            if refusals.contains(errno) { return 0 }
            if errno != EINTR { throw KapsuleError.system("write \(path)", errno: errno) }
        }
    }

    /// Waits until the bytes are on the device.
    public func synchronize() throws {
        guard fdatasync(descriptor) == 0 else { throw KapsuleError.system("flush \(path)", errno: errno) }
    }

    public func truncate(to size: Int64) throws {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw KapsuleError.system("resize \(path)", errno: errno) }
    }

    public func setMode(_ mode: UInt32) throws {
        guard fchmod(descriptor, mode) == 0 else { throw KapsuleError.system("set the mode of \(path)", errno: errno) }
    }

    /// Takes room for the first `size` bytes, so that a full disk says so before they are written. The size of the file
    /// stays. Does nothing where the file system cannot.
    ///
    /// - Throws: `.noSpace`.
    public func reserve(_ size: Int64) throws { try reserve(0..<size) }

    /// Takes room for a range of bytes.
    public func reserve(_ range: Range<Int64>) throws {
        let size = range.upperBound - range.lowerBound
        guard size > 0 else { return }
        switch -kapsule_allocate(descriptor, 0, range.lowerBound, size) {
        case 0, EOPNOTSUPP, ENOSYS, EINVAL, EPERM: return
        case let number: throw KapsuleError.system("take room for \(size) bytes for \(path)", errno: number)
        }
    }

    /// Where the first bytes of a range end that were written in one piece: at the latest before its first hole, and
    /// before the zeros in front of that, which may be none of ours.
    ///
    /// - Returns: the start of the range where nothing was written, or the file system cannot say.
    public func endOfContent(in range: Range<Int64>) throws -> Int64 {
        let hole = kapsule_seek_hole(descriptor, range.lowerBound)
        guard hole > range.lowerBound else { return range.lowerBound }
        var end = min(hole, range.upperBound)
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while end > range.lowerBound {
            let start = max(range.lowerBound, end - Int64(block.count))
            let count = try read(at: start, into: &block, limit: Int(end - start))
            if let last = block[..<count].lastIndex(where: { $0 != 0 }) { return start + Int64(last) + 1 }
            end = start
        }
        return end
    }

    /// Tells the kernel not to read ahead.
    func adviseRandom() { _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM) }

    /// Tells the kernel that reading will go from front to back.
    public func adviseSequential() { _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL) }
}
