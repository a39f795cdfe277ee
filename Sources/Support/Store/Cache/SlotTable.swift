internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A table on disk from digests to artifacts, of a fixed size, shared by processes without a lock.
///
/// A record has a place by its key, one of four side by side, and 128 bytes:
///
///     0  magic          16 key (32)       80 size, bytes      96 SHA-256 of bytes 0 to 95
///     8  time written   48 digest (32)    88 zero
///
/// A lookup is one read of 512 bytes; a new record takes the place of the oldest of four. A record that a crash or two
/// writers left in pieces fails its hash and is nobody's. All numbers are little-endian.
struct SlotTable: Sendable {
    static let recordSize = 128
    static let ways = 4
    /// 8192 groups of 512 bytes: 4 MiB on disk at most, 32768 records.
    static let groups: UInt64 = 8192

    private static let magic: UInt64 = 0x3165_6863_6163_6B6B  // "kkcache1"
    private let file: OpenFile

    init(_ path: String) throws { file = try OpenFile.updating(path, mode: 0o600) }

    subscript(key: Digest) -> Artifact? { try? group(of: key).first { $0.key == key }?.value }

    /// Errors are the caller's to ignore: a cache that cannot be written is only slow.
    func set(_ key: Digest, _ value: Artifact, now: Int64) throws {
        let records = try group(of: key)
        let way =
            records.firstIndex { $0.key == key } ?? records.firstIndex { $0.key == nil }
            ?? records.indices.min { records[$0].written < records[$1].written } ?? 0
        let record = Record(key: key, value: value, written: now)
        try file.write(record.bytes.span, at: Self.offset(of: key) + Int64(way * Self.recordSize))
    }

    private static func offset(of key: Digest) -> Int64 {
        let word = key.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int64(word % groups) * Int64(ways * recordSize)
    }

    /// The four records that may have `key`; empty ones where nothing sound is.
    private func group(of key: Digest) throws -> [Record] {
        let size = Self.ways * Self.recordSize
        var bytes = [UInt8](repeating: 0, count: size)
        // Past the end of the file is as good as zeros.
        _ = try file.read(at: Self.offset(of: key), into: &bytes, limit: size)
        return (0..<Self.ways).map { Record(bytes[$0 * Self.recordSize..<($0 + 1) * Self.recordSize]) }
    }

    private struct Record {
        var key: Digest?
        var value: Artifact?
        var written: Int64 = .min

        init(key: Digest, value: Artifact, written: Int64) {
            self.key = key
            self.value = value
            self.written = written
        }

        init(_ bytes: ArraySlice<UInt8>) {
            let bytes = Array(bytes)
            guard Self.number(bytes, at: 0) == SlotTable.magic,
                Digest.of(bytes.span.extracting(first: 96)) == Digest(bytes: bytes.span.extracting(last: 32))
            else { return }
            written = Int64(bitPattern: Self.number(bytes, at: 8))
            key = Digest(bytes: bytes.span.extracting(16..<48))
            value = Artifact(
                digest: Digest(bytes: bytes.span.extracting(48..<80)),
                size: Int64(bitPattern: Self.number(bytes, at: 80)))
        }

        var bytes: [UInt8] {
            guard let key, let value else { return [] }
            let body =
                Self.bytes(SlotTable.magic) + Self.bytes(UInt64(bitPattern: written)) + key.bytes + value.digest.bytes
                + Self.bytes(UInt64(bitPattern: value.size)) + Self.bytes(0)
            return body + Digest.of(body).bytes
        }

        private static func number(_ bytes: [UInt8], at offset: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
        }

        private static func bytes(_ number: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
        }
    }
}
