public import KapsuleCore
public import OCI

/// A layout on disk: the local store, or a directory that other tools read.
public struct LayoutDestination: ImageDestination {
    public let name: String
    private let layout: ImageLayout
    private let pinned: @Sendable (Digest) -> String
    private let tag: @Sendable (Descriptor, _ replaces: Bool) throws -> Void

    /// - Parameters:
    ///   - pinned: names an image of this layout for ever.
    ///   - tag: gives the image its names, or throws `.conflict` and gives it none.
    public init(
        name: String, layout: ImageLayout, pinned: @escaping @Sendable (Digest) -> String,
        tag: @escaping @Sendable (Descriptor, _ replaces: Bool) throws -> Void
    ) {
        self.name = name
        self.layout = layout
        self.pinned = pinned
        self.tag = tag
    }

    public var directory: String? { layout.path }

    public func hasBlobNearby(_ blob: Artifact) -> Bool? { (try? layout.contains(blob)) ?? false }
    public func hasBlob(_ blob: Artifact) throws -> Bool { try layout.contains(blob) }

    public func openBlob(size: Int64?) throws -> any BlobSink {
        let writer = try layout.writer(hashes: false)
        if let size { try writer.reserve(size) }
        return LayoutBlob(writer)
    }

    public func putBlob(
        _ blob: Descriptor, from source: any ByteSource, mountFrom origin: Reference?, _ activity: Activity?
    ) throws {
        guard try !layout.contains(blob.artifact) else { return }
        let writer = try layout.writer()
        try writer.reserve(blob.size)
        var sink = CountedBlob(writer: writer, activity: activity)
        try source.read(0..<source.size, into: &sink)
        _ = try writer.commit(expecting: blob.artifact)
    }

    public func publish(_ image: PublishedImage, replaces: Bool) throws {
        for child in image.children { _ = try layout.put(child.bytes) }
        _ = try layout.put(image.bytes)
        try tag(image.root, replaces)
    }

    public func reference(to manifest: Digest) -> String { pinned(manifest) }
}

/// A blob on its way into a layout, hashed by the writer and counted.
private struct CountedBlob: ByteSink {
    var writer: BlobWriter
    let activity: Activity?

    mutating func write(_ bytes: Span<UInt8>) throws {
        try writer.write(bytes)
        activity?.advance(by: bytes.count)
    }
}

/// A blob on its way into a layout, hashed by whoever writes it.
private final class LayoutBlob: BlobSink {
    private var writer: BlobWriter?

    init(_ writer: BlobWriter) { self.writer = writer }

    func write(_ bytes: Span<UInt8>) throws {
        try writer?.write(bytes)
    }

    func finish(_ digest: Digest) throws {
        try writer?.commit(vouchedFor: digest)
        writer = nil
    }

    func abandon() { writer = nil }
}
