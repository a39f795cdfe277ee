import KapsuleCore
import KapsuleCrypto

/// Hashes what passes, and says how far it has come.
struct CountedHash: ByteSink, ~Copyable {
    private var hasher = SHA256Hasher()
    private let activity: Activity

    private init(activity: Activity) { self.activity = activity }

    mutating func write(_ bytes: Span<UInt8>) {
        hasher.update(bytes)
        activity.advance(by: bytes.count)
    }

    /// The digest of all of `source`.
    static func digest(of source: some ByteSource, _ activity: Activity) throws -> Digest {
        var sink = CountedHash(activity: activity)
        try source.read(0..<source.size, into: &sink)
        return sink.hasher.finalize()
    }
}
