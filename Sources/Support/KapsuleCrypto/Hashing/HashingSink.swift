public import KapsuleCore

/// Hashes what passes and keeps nothing else.
public struct HashingSink: ByteSink, ~Copyable {
    private var hasher = SHA256Hasher()
    /// Bytes so far.
    public private(set) var count: Int64 = 0

    public init() {}

    public mutating func write(_ bytes: Span<UInt8>) {
        hasher.update(bytes)
        count += Int64(bytes.count)
    }

    /// The digest of all bytes so far; the sink starts anew.
    public mutating func finalize() -> Digest {
        count = 0
        return hasher.finalize()
    }
}

/// Passes bytes on, and insists that in the end they are what was promised.
///
/// More bytes than promised are refused before they are passed on. Fewer, or others, are noticed by `finish`, so
/// whatever stands behind `next` must not be visible before that.
public struct VerifyingSink<Next: ByteSink & ~Copyable>: ByteSink, ~Copyable {
    public var next: Next
    private let expected: Artifact
    private let what: String
    private var hasher = SHA256Hasher()
    private var count: Int64 = 0

    /// - Parameter what: completes an error: `blob sha256:9f86… from ghcr.io/acme/m`.
    public init(_ next: consuming Next, expecting expected: Artifact, what: String) {
        self.next = next
        self.expected = expected
        self.what = what
    }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        count += Int64(bytes.count)
        guard count <= expected.size else {
            throw KapsuleError(
                .unverified, id: "content.too-long", "\(what) is longer than the \(expected.size) bytes promised")
        }
        hasher.update(bytes)
        try next.write(bytes)
    }

    /// - Throws: `.unverified` unless size and digest came out as promised.
    public mutating func finish() throws {
        let digest = hasher.finalize()
        guard count == expected.size, digest == expected.digest else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(what) is not what was promised: expected \(expected.digest), got \(digest), "
                    + "\(count) of \(expected.size) bytes",
                remedy: "fetch or build it again; if it happens again, the source itself is damaged")
        }
    }
}
