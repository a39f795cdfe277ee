internal import Formats
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
public import OCI
internal import Synchronization

/// An OCI layout in one tar file, for places without a network: skopeo, podman and docker read it.
///
/// It is written once, in place: blobs lie in the order they were foreseen in, whatever order they come in, so equal images
/// give equal files. Until it is whole it is `FILE.partial`, which the next run goes on with.
public final class ArchiveDestination: ImageDestination {
    public let name: String
    private let path: String
    private let names: [Reference]
    private let tags: [String]
    private let replaces: Bool
    private let state = Mutex(State())

    private struct State {
        var rooms = ArchiveRooms()
        var partial: PartialArchive?
        /// Blobs that are there, verified.
        var present: Set<Digest> = []
        /// Offsets of rooms that have their blob.
        var filled: Set<Int64> = []
        /// Blobs whose size was not known, on their own until all others have their places.
        var spooled: [Spooled] = []
    }

    fileprivate struct Spooled: Sendable {
        let place: Int
        let file: AtomicFile
        let blob: Artifact
    }

    /// - Parameters:
    ///   - names: their tags name the image inside the archive.
    ///   - tags: more of such names, of an image that has no repository. Without either it is listed under its digest alone.
    ///   - replaces: whether a file of that name with something else is replaced.
    public init(to path: String, names: [Reference], tags: [String] = [], replaces: Bool) {
        self.path = path
        self.names = names
        self.tags = tags
        self.replaces = replaces
        name = "oci-archive:\(path)"
    }

    public var directory: String? { Paths.directory(of: path) }

    public func foresee(_ blobs: [ForeseenBlob]) { state.withLock { $0.rooms = ArchiveRooms(blobs) } }

    private func partial() throws -> PartialArchive {
        try state.withLock { state in
            if let partial = state.partial { return partial }
            if !replaces { try checkExisting() }
            try Directories.make(Paths.directory(of: path))
            let partial = try PartialArchive("\(path).partial", reserving: state.rooms.end)
            state.partial = partial
            return partial
        }
    }

    /// Before gigabytes are moved: a file that is no archive of images is not what will be made.
    private func checkExisting() throws {
        guard try FileStatus.of(path, followsLinks: true) != nil else { return }
        guard (try? ImageArchive(opening: path)) != nil else {
            throw occupied("is there already, and is something else")
        }
    }

    private func occupied(_ how: String) -> KapsuleError {
        KapsuleError(
            .conflict, id: "archive.exists", "\(path) \(how)",
            remedy: "use --force to replace it, or write to another file")
    }

    // MARK: Blobs

    public func hasBlobNearby(_ blob: Artifact) -> Bool? {
        let (isPresent, room) = state.withLock { ($0.present.contains(blob.digest), $0.rooms.byDigest[blob.digest]) }
        return isPresent || room.map { PartialArchive.claims(blob, at: $0, of: "\(path).partial") } ?? false
    }

    public func hasBlob(_ blob: Artifact) throws -> Bool {
        let (isPresent, room) = state.withLock { ($0.present.contains(blob.digest), $0.rooms.byDigest[blob.digest]) }
        if isPresent { return true }
        guard let room, try partial().holds(blob, at: room) else { return false }
        filled(room, blob.digest)
        return true
    }

    public func openBlob(size: Int64?, place: Int?, key: BlobKey?) throws -> any BlobSink {
        guard let size else {
            return SpooledBlob(try AtomicFile(in: Paths.directory(of: path), mode: 0o600), place, self)
        }
        let room = state.withLock { state in
            place.flatMap { state.rooms.rooms.indices.contains($0) ? state.rooms.rooms[$0] : nil }
                ?? state.rooms.add(size)
        }
        return RoomBlob(room, of: try partial()) { [self] digest in filled(room, digest) }
    }

    private func filled(_ room: ArchiveRooms.Room, _ digest: Digest) {
        state.withLock { state in
            state.rooms.name(room, digest)
            state.present.insert(digest)
            state.filled.insert(room.offset)
        }
    }

    fileprivate func keep(_ spooled: Spooled) { state.withLock { $0.spooled.append(spooled) } }

    public func putBlob(
        _ blob: Descriptor, from source: any ByteSource, mountFrom origin: Reference?, _ activity: Activity?
    ) throws {
        guard try !hasBlob(blob.artifact) else { return }
        if state.withLock({ $0.rooms.byDigest[blob.digest] == nil }) { try placeSpooled() }
        let partial = try partial()
        let room = state.withLock { $0.rooms.byDigest[blob.digest] ?? $0.rooms.add(blob.size) }
        let content = partial.content(of: room)
        var sink = VerifyingSink(
            CountedSink(content, activity), expecting: blob.artifact, what: "a blob for \(path)")
        try source.read(0..<source.size, into: &sink)
        try content.finish()
        try sink.finish()
        try partial.close(room, as: blob.digest)
        filled(room, blob.digest)
    }

    /// Blobs whose sizes are known by now, in the order in which they were foreseen.
    private func placeSpooled() throws {
        let waiting = state.withLock { state in
            defer { state.spooled = [] }
            return state.spooled.sorted { $0.place < $1.place }
        }
        for spooled in waiting {
            let digest = spooled.blob.digest
            guard state.withLock({ !$0.present.contains(digest) }) else { continue }
            let partial = try partial()
            let room = state.withLock { $0.rooms.add(spooled.blob.size) }
            let sink = partial.content(of: room)
            try sink.append(FileSource(spooled.file.file, keepsItsName: false))
            try sink.finish()
            try partial.close(room, as: digest)
            filled(room, digest)
        }
    }

    // MARK: The whole

    public func publish(_ image: PublishedImage, replaces: Bool) throws {
        try placeSpooled()
        try checkFilled()
        for child in image.children { try put(child.bytes) }
        try put(image.bytes)
        let partial = try partial()
        var end = state.withLock(\.rooms.end)
        for (name, bytes) in [
            ("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)), ("index.json", index(image.root)),
        ] {
            let entry = TarHeader.file(name, size: Int64(bytes.count)) + bytes
            let padding = TarHeader.padding(after: Int64(bytes.count))
            try partial.write(entry + [UInt8](repeating: 0, count: Int(padding)), at: end)
            end += Int64(entry.count) + padding
        }
        let ending = TarHeader.ending(after: end)
        try partial.write([UInt8](repeating: 0, count: Int(ending)), at: end)
        if !replaces { try checkSame(image.root.digest) }
        try partial.publish(size: end + ending, as: path)
        // Done with: what comes next would be another archive.
        state.withLock { $0.partial = nil }
    }

    /// Where a blob is missing every reader would take the archive to end.
    private func checkFilled() throws {
        let isFilled = state.withLock { state in
            state.rooms.rooms.allSatisfy { $0.map { state.filled.contains($0.offset) } ?? true }
        }
        guard isFilled else {
            throw KapsuleError(.defect, id: "archive.hole", "a blob that was to come to \(path) has not come")
        }
    }

    private func put(_ bytes: [UInt8]) throws {
        let digest = Digest.of(bytes)
        let blob = Descriptor(mediaType: MediaType.manifest, digest: digest, size: Int64(bytes.count))
        try putBlob(blob, from: MemorySource(bytes, digest: digest), mountFrom: nil, nil)
    }

    private func index(_ root: Descriptor) -> [UInt8] {
        let named =
            names.map { LayoutEntry.line(root, tag: $0.tag, fullName: $0.description) }
            + tags.map { LayoutEntry.line(root, tag: $0, fullName: nil) }
        let lines = named.isEmpty ? [LayoutEntry.line(root, tag: nil, fullName: nil)] : named
        return ImageIndex(manifests: lines).encoded().bytes
    }

    /// An archive of the same image is replaced by its equal.
    private func checkSame(_ digest: Digest) throws {
        guard try FileStatus.of(path, followsLinks: true) != nil else { return }
        let listed = try? ImageArchive(opening: path).images().entries
        guard listed?.allSatisfy({ $0.descriptor.digest == digest }) == true else {
            throw occupied("is there already, and holds another image")
        }
    }

    public func reference(to manifest: Digest) -> String { "oci-archive:\(path)@\(manifest)" }
}

/// A blob on its way to its place, hashed by whoever writes it.
private final class RoomBlob: BlobSink {
    private let room: ArchiveRooms.Room
    private let partial: PartialArchive
    private let sink: DirectFileSink
    private let filled: (Digest) -> Void

    init(_ room: ArchiveRooms.Room, of partial: PartialArchive, filled: @escaping (Digest) -> Void) {
        self.room = room
        self.partial = partial
        self.filled = filled
        sink = partial.content(of: room)
    }

    func write(_ bytes: Span<UInt8>) throws {
        // Past its end the room belongs to somebody else.
        guard sink.offset + Int64(bytes.count) <= room.contentOffset + room.size else { throw wrongSize() }
        try sink.write(bytes)
    }

    func finish(_ digest: Digest) throws {
        guard sink.offset == room.contentOffset + room.size else { throw wrongSize() }
        try sink.finish()
        try partial.close(room, as: digest)
        filled(digest)
    }

    func abandon() { sink.abandon() }

    private func wrongSize() -> KapsuleError {
        KapsuleError(
            .defect, id: "archive.blob-size",
            "a blob of \(partial.path) has not the \(room.size) bytes that were foreseen")
    }
}

/// A blob whose size is known when it has come: in an unnamed file until then.
private final class SpooledBlob: BlobSink {
    private let file: AtomicFile
    private var sink: FileSink
    private let place: Int?
    private let owner: ArchiveDestination

    init(_ file: AtomicFile, _ place: Int?, _ owner: ArchiveDestination) {
        self.file = file
        self.place = place
        self.owner = owner
        sink = FileSink(file.file)
    }

    func write(_ bytes: Span<UInt8>) throws { try sink.write(bytes) }

    func finish(_ digest: Digest) throws {
        owner.keep(
            .init(place: place ?? .max, file: file, blob: Artifact(digest: digest, size: sink.offset)))
    }

    func abandon() {}
}
