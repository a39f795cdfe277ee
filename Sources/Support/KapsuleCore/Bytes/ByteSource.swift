/// Where bytes come from: a length known before the first byte is read, and any range on request.
public protocol ByteSource: Sendable {
    /// Exact length, in bytes.
    var size: Int64 { get }
    /// What holds the bytes, so that a sink can clone them instead of reading them.
    var backing: ByteBacking { get }
    /// SHA-256 of the whole source, where a manifest, the hub or the store already vouches for it.
    var digest: Digest? { get }
    /// The name that git gives to the content, in hex, where the source knows files by such names: it proves them then.
    var gitBlobName: String? { get }
    /// Whether the source itself makes sure that what is read is what `digest` was worked out from, as a local file does
    /// that is watched for changes.
    var isWatched: Bool { get }
    /// How far the bytes are, for those who are told beforehand what will move.
    var place: BytePlace { get }
    /// What it gave turned out to be wrong: the next read comes by another way, or from further away, where there is one.
    func distrust()
    /// Hands `range` to `sink`, in order, in blocks of the source's choosing. Blocks the calling thread.
    ///
    /// - Throws: `KapsuleError` with code `.unavailable` when the bytes stop coming, and whatever `sink` throws.
    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws
}

extension ByteSource {
    public var digest: Digest? { nil }
    public var gitBlobName: String? { nil }
    public var isWatched: Bool { false }
    public var place: BytePlace { .here }
    public func distrust() {}

    /// All of a small source, such as a JSON document.
    ///
    /// - Throws: `.unverified` when the source is longer than `limit` bytes; nothing is read then.
    public func readAll(limit: Int64, what: @autoclosure () -> String) throws -> [UInt8] {
        guard size <= limit else {
            throw KapsuleError(
                .unverified, id: "source.too-large",
                "\(what()) has \(size) bytes, more than the \(limit) that such a document may have")
        }
        var sink = MemorySink()
        try read(0..<size, into: &sink)
        return sink.bytes
    }
}

/// How far bytes are from here.
public enum BytePlace: Sendable, Hashable {
    case here
    /// On this machine, where a tool of a distant source keeps what it fetched.
    case cache
    /// On another machine: reading them moves them.
    case elsewhere
}

public enum ByteBacking: Sendable {
    /// A region of an open regular file. The descriptor stays open for as long as the source lives.
    case file(descriptor: Int32, offset: Int64)
    case memory([UInt8])
    /// Only zeros: a hole, where the sink can make one.
    case zeros
    /// Nothing a sink can reach but through `read`.
    case stream
}

/// Bytes held in memory.
public struct MemorySource: ByteSource {
    public let bytes: [UInt8]
    public let digest: Digest?

    public init(_ bytes: [UInt8], digest: Digest? = nil) {
        self.bytes = bytes
        self.digest = digest
    }

    public var size: Int64 { Int64(bytes.count) }
    public var backing: ByteBacking { .memory(bytes) }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try sink.write(bytes.span.extracting(Int(range.lowerBound)..<Int(range.upperBound)))
    }
}

/// Nothing but zeros, such as the padding of a tar archive.
public struct ZeroSource: ByteSource {
    private static let block = [UInt8](repeating: 0, count: 64 << 10)
    public let size: Int64

    public init(size: Int64) { self.size = size }

    public var backing: ByteBacking { .zeros }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        var left = range.upperBound - range.lowerBound
        while left > 0 {
            let count = min(left, Int64(Self.block.count))
            try sink.write(Self.block.span.extracting(first: Int(count)))
            left -= count
        }
    }
}

/// Another source, of which it is known what it hashes to.
public struct KnownSource: ByteSource {
    private let base: any ByteSource
    public let digest: Digest?
    public let isWatched: Bool

    /// - Parameter isWatched: where the one who knows makes sure of it; nil leaves that to `base`.
    public init(_ base: any ByteSource, digest: Digest, isWatched: Bool? = nil) {
        self.base = base
        self.digest = digest
        self.isWatched = isWatched ?? base.isWatched
    }

    public var gitBlobName: String? { base.gitBlobName }
    public var place: BytePlace { base.place }
    public func distrust() { base.distrust() }
    public var size: Int64 { base.size }
    public var backing: ByteBacking { base.backing }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try base.read(range, into: &sink)
    }
}

/// A part of another source, as a file inside an archive.
public struct SliceSource: ByteSource {
    public let base: any ByteSource
    /// Bytes from the start of `base`.
    public let range: Range<Int64>
    public let digest: Digest?

    public init(_ base: any ByteSource, _ range: Range<Int64>, digest: Digest? = nil) {
        precondition(range.lowerBound >= 0 && range.upperBound <= base.size, "a slice lies within its base")
        self.base = base
        self.range = range
        self.digest = digest
    }

    public var size: Int64 { range.upperBound - range.lowerBound }
    public var isWatched: Bool { base.isWatched }

    public var backing: ByteBacking {
        switch base.backing {
        case .file(let descriptor, let offset): .file(descriptor: descriptor, offset: offset + range.lowerBound)
        case .memory(let bytes): .memory(Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
        case .zeros: .zeros
        case .stream: .stream
        }
    }

    public func read(_ part: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        precondition(part.lowerBound >= 0 && part.upperBound <= size, "a read lies within its source")
        try base.read(range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound, into: &sink)
    }
}

/// Sources one after another: an archive's headers, files and padding.
public struct ConcatenatedSource: ByteSource {
    public let parts: [any ByteSource]
    public let size: Int64
    public let digest: Digest?

    public init(_ parts: [any ByteSource], digest: Digest? = nil) {
        self.parts = parts
        self.size = parts.reduce(0) { $0 + $1.size }
        self.digest = digest
    }

    public var backing: ByteBacking { .stream }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        var start: Int64 = 0
        for part in parts {
            let overlap = range.clamped(to: start..<start + part.size)
            if !overlap.isEmpty { try part.read(overlap.lowerBound - start..<overlap.upperBound - start, into: &sink) }
            start += part.size
        }
    }
}

extension ByteSource {
    /// What is here of a range, up to the source's end; nil where not even its first byte is.
    public func beginning(of range: Range<Int64>) -> SliceSource? {
        let end = min(range.upperBound, size)
        return range.lowerBound < end ? SliceSource(self, range.lowerBound..<end) : nil
    }
}
