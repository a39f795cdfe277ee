public import KapsuleCore
public import OCI

/// Where an image is put: a layout on disk, or a repository of a registry.
///
/// Blocks the calling thread; may be used from several at one time.
public protocol ImageDestination: Sendable {
    /// As the plan and errors name it: `store mistral:7b`, `localhost:5000/m:1`.
    var name: String { get }
    /// A directory on the file system that is filled; nil for a registry.
    var directory: String? { get }
    /// Whether it has the blob, without asking the network; nil when only the network knows.
    func hasBlobNearby(_ blob: Artifact) -> Bool?
    /// Whether it has the blob.
    func hasBlob(_ blob: Artifact) throws -> Bool
    /// Told before the first blob what will come, in the order of the image, as far as that is known. Moves nothing.
    func foresee(_ blobs: [ForeseenBlob])
    /// Bytes on the disk that an interrupted run has taken for a blob.
    func allocated(for blob: Artifact) -> Int64
    /// Takes a blob whose digest is not known yet.
    ///
    /// - Parameters:
    ///   - size: exact length in bytes where known beforehand.
    ///   - place: its position in what was foreseen; nil for one that was not.
    ///   - key: stands for what will come, so that a transfer that broke off can go on; nil for bytes that never come
    ///     again, such as those encrypted under a fresh key.
    func openBlob(size: Int64?, place: Int?, key: BlobKey?) throws -> any BlobSink
    /// The first bytes of a blob that an interrupted run has opened under this key. Nobody has verified them.
    func leftover(of key: BlobKey) -> (any ByteSource)?
    /// Bytes on the disk that such a run has taken for it.
    func allocated(for key: BlobKey) -> Int64
    /// Takes a blob whose digest is known; does nothing when it has it.
    ///
    /// - Parameters:
    ///   - origin: where the same registry may have it already.
    ///   - activity: advanced by what is moved.
    func putBlob(
        _ blob: Descriptor, from source: any ByteSource, mountFrom origin: Reference?, _ activity: Activity?) throws
    /// Makes the image visible under every tag, or under none.
    ///
    /// - Throws: `.conflict` when a tag names another image and `replaces` is false; nothing is changed then.
    func publish(_ image: PublishedImage, replaces: Bool) throws
    /// What stdout gets: names the image for ever.
    func reference(to manifest: Digest) -> String
}

extension ImageDestination {
    public func allocated(for blob: Artifact) -> Int64 { 0 }
    public func foresee(_ blobs: [ForeseenBlob]) {}
    public func leftover(of key: BlobKey) -> (any ByteSource)? { nil }
    public func allocated(for key: BlobKey) -> Int64 { 0 }
}

/// What is known of a blob before it comes.
public struct BlobKey: Sendable {
    /// Equal for equal blobs.
    public let digest: Digest
    /// Whether sources elsewhere promise what is in it: what is left of such a blob is worth keeping, and can be proved.
    public let isPromised: Bool

    /// - Parameter files: what the blob is made of.
    init(_ outline: Digest, of files: [ModelBundle.File]) {
        digest = outline
        isPromised = files.contains { $0.source.digest != nil && !$0.source.isWatched }
    }
}

/// A blob that will come.
public struct ForeseenBlob: Sendable {
    /// In bytes, where known.
    public let size: Int64?
    /// Where known.
    public let digest: Digest?

    public init(size: Int64?, digest: Digest? = nil) {
        self.size = size
        self.digest = digest
    }
}

/// What `publish` makes visible: an image manifest, or an index with its manifests.
public struct PublishedImage: Sendable {
    /// What the tags name.
    public let root: Descriptor
    public let bytes: [UInt8]
    /// Manifests that `root` refers to, when it is an index.
    public let children: [(descriptor: Descriptor, bytes: [UInt8])]

    public init(root: Descriptor, bytes: [UInt8], children: [(descriptor: Descriptor, bytes: [UInt8])] = []) {
        self.root = root
        self.bytes = bytes
        self.children = children
    }
}

/// A blob on its way.
public protocol BlobSink: AnyObject, ByteSink {
    /// All bytes have come, and `digest` is theirs.
    func finish(_ digest: Digest) throws
    /// Gives up; nothing stays behind but what a further run can go on with.
    func abandon()
    /// Gives up what came, because it is not what was promised.
    func discard()
}

extension BlobSink {
    public func discard() { abandon() }
}

/// What earlier runs have found out about layers.
public struct LayerMemory: Sendable {
    /// The layer that a key stands for, where it was made before.
    public let recall: @Sendable (Digest) -> Artifact?
    public let remember: @Sendable (Digest, Artifact) -> Void

    public init(
        recall: @escaping @Sendable (Digest) -> Artifact?, remember: @escaping @Sendable (Digest, Artifact) -> Void
    ) {
        self.recall = recall
        self.remember = remember
    }

    /// Remembers nothing.
    public static let none = LayerMemory(recall: { _ in nil }, remember: { _, _ in })
}
