/// Where bytes go, in order. One call a block.
public protocol ByteSink: ~Copyable {
    mutating func write(_ bytes: Span<UInt8>) throws
    /// Writes all of `source`. A sink over a file overrides this to clone.
    mutating func append(_ source: some ByteSource) throws
}

extension ByteSink where Self: ~Copyable {
    public mutating func append(_ source: some ByteSource) throws {
        try source.read(0..<source.size, into: &self)
    }
}

/// Keeps everything in memory: small documents and tests.
public struct MemorySink: ByteSink {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func write(_ bytes: Span<UInt8>) {
        self.bytes.reserveCapacity(self.bytes.count + bytes.count)
        for index in bytes.indices { self.bytes.append(bytes[index]) }
    }
}

/// Counts what passes and keeps nothing.
public struct CountingSink: ByteSink {
    /// Bytes so far.
    public private(set) var count: Int64 = 0

    public init() {}

    public mutating func write(_ bytes: Span<UInt8>) { count += Int64(bytes.count) }
}
