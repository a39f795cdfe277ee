public import KapsuleCore

/// What is in an archive and where, by its headers alone: content is passed over unread.
public struct TarIndex: Sendable {
    /// In the order of the archive.
    public let entries: [TarEntry]

    /// - Parameter what: names the archive in errors.
    /// - Throws: `.unverified` for what is not an archive, or one of more than `TarLimit.entries` entries.
    public static func reading(_ source: some ByteSource, what: String) throws -> TarIndex {
        var decoder = TarDecoder(what: what)
        var entries: [TarEntry] = []
        var offset: Int64 = 0
        let blockSize = Int64(TarHeader.blockSize)
        func bytes(_ count: Int64) throws -> [UInt8] {
            guard count <= source.size - offset else { throw decoder.problem.truncated(at: source.size) }
            var sink = MemorySink()
            try source.read(offset..<offset + count, into: &sink)
            offset += count
            return sink.bytes
        }
        func pass(_ size: Int64) throws {
            let whole = size + TarHeader.padding(after: size)
            guard whole <= source.size - offset else { throw decoder.problem.truncated(at: source.size) }
            offset += whole
        }
        while true {
            let start = offset
            switch try decoder.header(bytes(blockSize), at: start) {
            case .extended(let size):
                let content = try bytes(size + TarHeader.padding(after: size)).prefix(Int(size))
                try decoder.take(Array(content), at: start + blockSize)
            case .skip(let size): try pass(size)
            case .entry(let entry):
                guard entries.count < TarLimit.entries else {
                    throw decoder.problem.malformed("it has more than \(TarLimit.entries) entries", at: start)
                }
                entries.append(entry)
                try pass(entry.size)
            case .zeros:
                guard try offset == source.size || bytes(blockSize).allSatisfy({ $0 == 0 }) else {
                    throw decoder.problem.malformed("an entry follows a block of zeros", at: offset - blockSize)
                }
                return TarIndex(entries: entries)
            }
        }
    }
}
