public import KapsuleCore

/// A blob of a registry as a source: every read is a request, resumed where it breaks off.
///
/// The bytes are not checked: a part of a blob has no digest of its own. Read the whole through a `VerifyingSink`.
public struct BlobSource: ByteSource {
    public let client: RegistryClient
    public let descriptor: Descriptor

    public var size: Int64 { descriptor.size }
    public var backing: ByteBacking { .stream }
    public var digest: Digest? { descriptor.digest }

    public func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try client.readBlob(descriptor, range: range, into: &sink)
    }
}
