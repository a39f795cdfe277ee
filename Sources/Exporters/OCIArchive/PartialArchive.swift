internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI

/// An archive being written, `FILE.partial`: blobs at their places, each with its header last. What an interrupted run left
/// is kept where its digest still agrees.
///
/// May be used from several threads, for different rooms.
final class PartialArchive: Sendable {
    let path: String
    private let file: OpenFile
    private let lock: FileLock

    /// - Parameter size: bytes that are sure to come, reserved on the device.
    /// - Throws: `.unavailable` when another kapsule writes it; `.noSpace`.
    init(_ path: String, reserving size: Int64) throws {
        self.path = path
        file = try OpenFile.updating(path)
        guard let lock = try FileLock.ifFree(path, .exclusive) else {
            throw KapsuleError(
                .unavailable, id: "archive.busy", "another kapsule is writing \(path)",
                remedy: "wait until it has ended, or write elsewhere")
        }
        self.lock = lock
        try file.reserve(size)
        try write(ArchiveRooms.directories, at: 0)
    }

    /// Whether a run before this one has finished the blob, as far as its header says.
    static func claims(_ blob: Artifact, at room: ArchiveRooms.Room, of path: String) -> Bool {
        guard blob.size == room.size, let source = try? FileSource(path: path) else { return false }
        return (try? hasHeader(blob, at: room, in: source)) ?? false
    }

    private static func hasHeader(
        _ blob: Artifact, at room: ArchiveRooms.Room, in source: some ByteSource
    ) throws -> Bool {
        guard source.size >= room.contentOffset + room.size else { return false }
        var sink = MemorySink()
        try source.read(room.offset..<room.contentOffset, into: &sink)
        return sink.bytes == ArchiveRooms.header(blob.digest, room.size)
    }

    /// Whether the blob is there whole: all of it is read.
    func holds(_ blob: Artifact, at room: ArchiveRooms.Room) throws -> Bool {
        guard blob.size == room.size else { return false }
        // Other rooms are being written meanwhile, so the file's times move; nobody writes here.
        let source = UnwatchedSource(file, size: try file.status().size)
        guard try Self.hasHeader(blob, at: room, in: source) else { return false }
        var hasher = HashingSink()
        try source.read(room.contentOffset..<room.contentOffset + room.size, into: &hasher)
        guard hasher.finalize() == blob.digest else { return false }
        try pad(room)
        return true
    }

    func content(of room: ArchiveRooms.Room) -> DirectFileSink {
        DirectFileSink(file, at: room.contentOffset, size: room.contentOffset + room.size)
    }

    /// The content is written, and `digest` is its name from now on.
    func close(_ room: ArchiveRooms.Room, as digest: Digest) throws {
        try pad(room)
        try write(ArchiveRooms.header(digest, room.size), at: room.offset)
    }

    // What an earlier run left there may be part of something else.
    private func pad(_ room: ArchiveRooms.Room) throws {
        let start = room.contentOffset + room.size
        try write([UInt8](repeating: 0, count: Int(room.end - start)), at: start)
    }

    func write(_ bytes: [UInt8], at offset: Int64) throws { try file.write(bytes.span, at: offset) }

    /// The archive is whole: it gets its name.
    func publish(size: Int64, as name: String) throws {
        try file.truncate(to: size)
        try file.synchronize()
        try Directories.rename(path, to: name)
    }
}
