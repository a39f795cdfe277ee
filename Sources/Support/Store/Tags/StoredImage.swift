public import KapsuleCore

/// A line of `kapsule ls`.
public struct StoredImage: Sendable {
    /// Without its tag: `mistral`, `ghcr.io/acme/mistral`.
    public let name: String
    public let tag: String?
    /// Of the manifest or index.
    public let digest: Digest
    /// Of everything the image needs, in bytes.
    public let size: Int64
    /// Of what no other image needs.
    public let uniqueSize: Int64
    /// When it got its name, in seconds since 1970; nil where another tool gave it.
    public let tagged: Int64?
    /// Why the image cannot be used: a blob is missing or damaged. Sizes count what is known then.
    public let problem: KapsuleError?

    public var sharedSize: Int64 { size - uniqueSize }
    /// As it was tagged.
    public var reference: String { name + (tag.map { ":\($0)" } ?? "") }
}
