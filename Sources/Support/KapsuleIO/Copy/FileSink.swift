internal import CLinux
internal import Glibc
public import KapsuleCore

/// Writes to a file from an offset on. A source over a file is cloned where the file system can, else copied by the
/// kernel, else read and written.
public struct FileSink: ByteSink, Sendable {
    public let file: OpenFile
    /// Where the next byte goes, from the start of the file.
    public private(set) var offset: Int64

    public init(_ file: OpenFile, at offset: Int64 = 0) {
        self.file = file
        self.offset = offset
    }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        try file.write(bytes, at: offset)
        offset += Int64(bytes.count)
    }

    public mutating func append(_ source: some ByteSource) throws {
        switch source.backing {
        case .file(let descriptor, let start):
            let copied = try Self.copy(
                from: descriptor, at: start, length: source.size, to: file, at: offset)
            offset += copied
            if copied < source.size { try source.read(copied..<source.size, into: &self) }
        case .zeros:
            try extendWithHole(by: source.size)
        case .memory, .stream:
            try source.read(0..<source.size, into: &self)
        }
    }

    /// Takes all of `source` as a clone, where it is a file and the file system can. Says whether it did.
    public mutating func clone(_ source: any ByteSource) throws -> Bool {
        guard case .file(let descriptor, let start) = source.backing, source.size > 0 else { return false }
        switch -kapsule_clone_range(descriptor, UInt64(start), UInt64(source.size), file.descriptor, UInt64(offset)) {
        case 0:
            offset += source.size
            return true
        case let number where [ENOSPC, EDQUOT, EIO].contains(number):
            throw KapsuleError.system("clone to \(file.path)", errno: number)
        default: return false
        }
    }

    private mutating func extendWithHole(by count: Int64) throws {
        let end = offset + count
        // Only past the end is a hole sure to read as zeros.
        if try file.status().size <= offset {
            try file.truncate(to: end)
            offset = end
        } else {
            try ZeroSource(size: count).read(0..<count, into: &self)
        }
    }

    /// Copies without passing the bytes through this process. Returns how many bytes were moved; the rest is left to
    /// the caller, because the kernel cannot do it between these two files.
    private static func copy(
        from descriptor: Int32, at start: Int64, length: Int64, to file: OpenFile, at offset: Int64
    ) throws -> Int64 {
        guard length > 0 else { return 0 }
        if kapsule_clone_range(descriptor, UInt64(start), UInt64(length), file.descriptor, UInt64(offset)) == 0 {
            return length
        }
        var done: Int64 = 0
        while done < length {
            try Task.checkNotInterrupted()
            let step = Int(min(length - done, 64 << 20))
            let count = kapsule_copy_file_range(descriptor, start + done, file.descriptor, offset + done, step)
            switch Int32(clamping: -Int64(count)) {
            case ..<0: done += Int64(count)
            case 0, EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, EBADF, EPERM: return done
            case let number: throw KapsuleError.system("copy to \(file.path)", errno: number)
            }
        }
        return done
    }
}
