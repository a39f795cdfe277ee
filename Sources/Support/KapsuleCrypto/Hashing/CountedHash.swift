public import KapsuleCore

/// Hashes what passes, and says how far it has come.
public struct CountedHash: ByteSink, ~Copyable {
    private var hasher = SHA256Hasher()
    private let activity: Activity?

    private init(_ activity: Activity?) { self.activity = activity }

    public mutating func write(_ bytes: Span<UInt8>) {
        hasher.update(bytes)
        activity?.advance(by: bytes.count)
    }

    /// The digest of all of `source`.
    public static func digest(of source: any ByteSource, _ activity: Activity?) throws -> Digest {
        var sink = CountedHash(activity)
        try source.read(0..<source.size, into: &sink)
        return sink.hasher.finalize()
    }
}
