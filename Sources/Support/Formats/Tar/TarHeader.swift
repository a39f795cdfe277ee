/// The bytes in front of a file or directory of a tar archive, as Python's `tarfile` writes them in its pax format.
///
/// Owner and group are 0 and nameless, the time is 0, modes are 0644 and 0755, so equal entries give equal bytes. A
/// path that is not ASCII or longer than 100 bytes, and a size from 8 GiB, are in a pax header that comes first:
///
///     ┌ 512: header, type x ┬ records, padded to 512 ┐┬ 512: ustar header ┬ content, padded to 512 ┐
///     └──── only where the ustar header is too small ┘└───────────────────┴────────────────────────┘
///
/// Source: CPython `Lib/tarfile.py`, `TarInfo.create_pax_header`; POSIX.1-2008 `pax`.
public enum TarHeader {
    /// Everything in an archive begins at a multiple of this.
    public static let blockSize = 512
    /// The length of an archive is a multiple of this.
    public static let recordSize = 20 * blockSize
    /// Sizes from here on do not fit eleven octal digits.
    static let largeSize: Int64 = 1 << 33

    /// Of a regular file.
    ///
    /// - Parameters:
    ///   - path: without NUL; trusted otherwise.
    ///   - size: in bytes, not negative.
    /// - Returns: a multiple of 512 bytes.
    public static func file(_ path: String, size: Int64, isExecutable: Bool = false) -> [UInt8] {
        precondition(size >= 0, "a file has a size")
        return entry(path, type: "0", mode: isExecutable ? 0o755 : 0o644, size: size)
    }

    /// Of a directory; the archive's name of it ends in `/`, whether or not `path` does.
    public static func directory(_ path: String) -> [UInt8] {
        entry(path.hasSuffix("/") ? path : path + "/", type: "5", mode: 0o755, size: 0)
    }

    /// Zeros that follow content of `size` bytes, up to the next block.
    public static func padding(after size: Int64) -> Int64 {
        let over = size % Int64(blockSize)
        return over == 0 ? 0 : Int64(blockSize) - over
    }

    /// Zeros that end an archive whose entries take `size` bytes: two blocks, then up to a whole record.
    public static func ending(after size: Int64) -> Int64 {
        let marked = size + 2 * Int64(blockSize)
        let over = marked % Int64(recordSize)
        return marked - size + (over == 0 ? 0 : Int64(recordSize) - over)
    }

    private static func entry(_ path: String, type: Unicode.Scalar, mode: Int64, size: Int64) -> [UInt8] {
        var records: [UInt8] = []
        if path.utf8.count > 100 || !path.utf8.allSatisfy({ $0 < 0x80 }) { records += record("path", path) }
        if size >= largeSize { records += record("size", String(size)) }
        let header = block(name: path, type: type, mode: mode, size: size < largeSize ? size : 0)
        guard !records.isEmpty else { return header }
        let count = Int64(records.count)
        return block(name: "././@PaxHeader", type: "x", mode: 0, size: count) + records
            + [UInt8](repeating: 0, count: Int(padding(after: count))) + header
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
    static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = key.utf8.count + value.utf8.count + 3
        var length = rest
        while length != rest + String(length).utf8.count { length = rest + String(length).utf8.count }
        return Array("\(length) \(key)=\(value)\n".utf8)
    }

    /// One ustar block. Device numbers and the prefix stay NUL.
    private static func block(name: String, type: Unicode.Scalar, mode: Int64, size: Int64) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockSize)
        func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
            for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
        }
        put(name.unicodeScalars.lazy.map { $0.isASCII ? UInt8($0.value) : UInt8(ascii: "?") }.prefix(100), at: 0)
        put(octal(mode, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(size, digits: 11), at: 124)
        put(octal(0, digits: 11), at: 136)
        put("        ".utf8, at: 148)
        put(CollectionOfOne(UInt8(ascii: type)), at: 156)
        put("ustar\u{0}00".utf8, at: 257)
        // Six digits and NUL; the eighth byte of the field stays a blank.
        put(octal(block.reduce(0) { $0 + Int64($1) }, digits: 6), at: 148)
        return block
    }

    /// Octal digits with leading zeros, then NUL.
    private static func octal(_ value: Int64, digits: Int) -> [UInt8] {
        let text = String(value, radix: 8)
        return Array(String(repeating: "0", count: digits - text.utf8.count).utf8) + Array(text.utf8) + [0]
    }
}
