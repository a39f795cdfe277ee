public import KapsuleCore
internal import KapsuleIO
public import OCI
internal import Synchronization

/// A layout on disk: the local store, or a directory that other tools read.
public struct LayoutDestination: ImageDestination {
    public let name: String
    private let lazy: LazyLayout
    /// Whether it is there for one build's output.
    private let isOwn: Bool
    private let pinned: @Sendable (Digest) -> String
    private let tag: @Sendable (ImageLayout, Descriptor, _ replaces: Bool) throws -> Void

    /// - Parameters:
    ///   - pinned: names an image of this layout for ever.
    ///   - tag: gives the image its names, or throws `.conflict` and gives it none.
    public init(
        name: String, layout: ImageLayout, pinned: @escaping @Sendable (Digest) -> String,
        tag: @escaping @Sendable (ImageLayout, Descriptor, _ replaces: Bool) throws -> Void
    ) {
        self.init(name: name, LazyLayout(layout.path) { layout }, isOwn: false, pinned: pinned, tag: tag)
    }

    /// A layout in a directory, made when its first blob comes: whoever only plans leaves no directory behind.
    ///
    /// - Parameters:
    ///   - names: their tags name the image inside the layout.
    ///   - tags: more of such names, of an image that has no repository. Without either it is listed under its digest alone.
    public init(name: String, at path: String, names: [Reference], tags: [String] = []) {
        let lazy = LazyLayout(path) {
            try Directories.make(path)
            return try ImageLayout.create(path)
        }
        self.init(
            name: name, lazy, isOwn: true, pinned: { "oci:\(path)@\($0)" },
            tag: { layout, descriptor, replaces in
                let all = names.map { ($0.tag, Optional($0.description)) } + tags.map { (Optional($0), nil) }
                guard !all.isEmpty else { return _ = try layout.setTag(nil, descriptor, replace: replaces) }
                try layout.setTags(all, descriptor, replace: replaces)
            })
    }

    private init(
        name: String, _ lazy: LazyLayout, isOwn: Bool, pinned: @escaping @Sendable (Digest) -> String,
        tag: @escaping @Sendable (ImageLayout, Descriptor, _ replaces: Bool) throws -> Void
    ) {
        self.name = name
        self.lazy = lazy
        self.isOwn = isOwn
        self.pinned = pinned
        self.tag = tag
    }

    private var layout: ImageLayout { get throws { try lazy.layout() } }

    public var directory: String? { lazy.path }

    public func hasBlobNearby(_ blob: Artifact) -> Bool? { (try? lazy.ifThere()?.contains(blob)) ?? false }
    public func hasBlob(_ blob: Artifact) throws -> Bool { try layout.contains(blob) }
    public func allocated(for blob: Artifact) -> Int64 {
        (try? lazy.ifThere()?.allocatedForPartial(of: blob.digest)) ?? 0
    }

    public func openBlob(size: Int64?, place: Int?, key: BlobKey?) throws -> any BlobSink {
        let isKept = key?.isPromised == true && size ?? 0 >= ImageLayout.smallestPartial
        let writer = try layout.writer(hashes: false, key: isKept ? key?.digest : nil)
        if let size {
            do {
                try writer.reserve(size)
            } catch {
                writer.discard()
                throw error
            }
        }
        return LayoutBlob(writer)
    }

    public func allocated(for key: BlobKey) -> Int64 {
        key.isPromised ? (try? lazy.ifThere()?.allocatedForLeftover(of: key.digest)) ?? 0 : 0
    }

    public func leftover(of key: BlobKey) -> (any ByteSource)? {
        key.isPromised ? (try? lazy.ifThere()?.leftover(of: key.digest)) ?? nil : nil
    }

    public func putBlob(
        _ blob: Descriptor, from source: any ByteSource, mountFrom origin: Reference?, _ activity: Activity?
    ) throws {
        guard try !layout.contains(blob.artifact) else { return }
        if case .stream = source.backing {
            return try layout.fetch(blob.artifact, from: source, what: "blob \(blob.digest) for \(name)", activity)
        }
        let writer = try layout.writer()
        try writer.reserve(blob.size)
        var sink = CountedSink(writer, activity)
        try source.read(0..<source.size, into: &sink)
        _ = try writer.commit(expecting: blob.artifact)
    }

    public func publish(_ image: PublishedImage, replaces: Bool) throws {
        for child in image.children { _ = try layout.put(child.bytes) }
        _ = try layout.put(image.bytes)
        try tag(layout, image.root, replaces)
        // Of blobs that another process has brought meanwhile.
        try layout.removePartials(all: false)
        // In a store they may belong to other builds, and `prune` removes them.
        if isOwn { try layout.removeLeftovers() }
    }

    public func reference(to manifest: Digest) -> String { pinned(manifest) }
}

/// A layout that is opened, and made where there is none, when it is first needed.
private final class LazyLayout: Sendable {
    let path: String
    private let open: @Sendable () throws -> ImageLayout
    private let opened = Mutex<ImageLayout?>(nil)

    init(_ path: String, _ open: @escaping @Sendable () throws -> ImageLayout) {
        self.path = path
        self.open = open
    }

    func layout() throws -> ImageLayout {
        try opened.withLock { opened in
            if let opened { return opened }
            let layout = try open()
            opened = layout
            return layout
        }
    }

    /// Nil where it would have to be made.
    func ifThere() throws -> ImageLayout? {
        if let opened = opened.withLock(\.self) { return opened }
        return try FileStatus.of("\(path)/oci-layout", followsLinks: true) == nil ? nil : try layout()
    }
}

/// A blob on its way into a layout, hashed by whoever writes it.
private final class LayoutBlob: BlobSink {
    private var writer: BlobWriter?

    init(_ writer: BlobWriter) { self.writer = writer }

    func write(_ bytes: Span<UInt8>) throws {
        do {
            try writer?.write(bytes)
        } catch {
            // A full disk wants its room back.
            writer?.discard()
            throw error
        }
    }

    func finish(_ digest: Digest) throws {
        try writer?.commit(vouchedFor: digest)
        writer = nil
    }

    func abandon() {
        writer?.abandon()
        writer = nil
    }

    func discard() {
        writer?.discard()
        writer = nil
    }
}
