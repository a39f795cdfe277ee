public import KapsuleCore

/// Where an image is read from: a layout on disk, or a repository of a registry.
///
/// Blocks the calling thread; may be used from several at one time.
public protocol ImageOrigin: Sendable {
    /// As people name it: `oci:./layout:7b`, `ghcr.io/acme/m:7b`.
    var name: String { get }
    /// The reference behind it, where it is in a registry.
    var reference: Reference? { get }
    /// What the index of a layout calls it; nil where there is none.
    var tag: String? { get }
    /// What the name stands for now: a manifest or an index, as it was stored.
    func root() throws -> RawManifest
    /// A manifest that an index refers to.
    func manifest(_ descriptor: Descriptor) throws -> RawManifest
    /// A config or a layer. What is read is not verified yet.
    func blob(_ descriptor: Descriptor) throws -> any ByteSource
}

extension ImageOrigin {
    public var tag: String? { nil }
}

/// A tag, a digest or a name of a layout on disk.
public struct LayoutOrigin: ImageOrigin {
    public let name: String
    public let reference: Reference? = nil
    private let layout: ImageLayout
    private let descriptor: Descriptor

    /// What the layout's index calls it.
    public var tag: String? { descriptor.annotations[LayoutEntry.tagAnnotation] }

    /// - Parameter descriptor: what is looked at, from the layout's index.
    public init(name: String, layout: ImageLayout, _ descriptor: Descriptor) {
        self.name = name
        self.layout = layout
        self.descriptor = descriptor
    }

    public func root() throws -> RawManifest { try manifest(descriptor) }

    public func manifest(_ descriptor: Descriptor) throws -> RawManifest {
        RawManifest(
            bytes: try layout.document(
                descriptor, limit: DocumentLimit.manifest, what: "the manifest \(descriptor.digest) of \(name)"),
            mediaType: descriptor.mediaType, digest: descriptor.digest)
    }

    public func blob(_ descriptor: Descriptor) throws -> any ByteSource { try layout.blob(descriptor.artifact) }
}

/// A reference of a registry.
public struct RegistryOrigin: ImageOrigin {
    public let reference: Reference?
    private let image: Reference
    private let client: RegistryClient

    public init(_ image: Reference, _ client: RegistryClient) {
        self.image = image
        self.reference = image
        self.client = client
    }

    public var name: String { image.description }

    public func root() throws -> RawManifest { try client.manifest(image.manifestName) }

    public func manifest(_ descriptor: Descriptor) throws -> RawManifest {
        try client.manifest(.digest(descriptor.digest))
    }

    public func blob(_ descriptor: Descriptor) throws -> any ByteSource { client.blob(descriptor) }
}
