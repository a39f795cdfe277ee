internal import Formats
internal import KapsuleCore

/// Where everything of an archive goes, worked out from sizes before digests are known.
///
/// A blob's entry is named by its digest, and such a name always has the same length: so has the header, and room can be
/// kept for it.
///
///     blobs/ · blobs/sha256/ · blobs with known sizes, in order · what comes later · oci-layout · index.json · zeros
struct ArchiveRooms {
    /// The place of one blob; offsets in bytes from the start of the archive.
    struct Room: Hashable {
        let offset: Int64
        let size: Int64

        var headerSize: Int64 { Int64(ArchiveRooms.header(Digest(bigEndianWords: (0, 0, 0, 0)), size).count) }
        var contentOffset: Int64 { offset + headerSize }
        var end: Int64 { contentOffset + size + TarHeader.padding(after: size) }
    }

    static let directories = TarHeader.directory("blobs") + TarHeader.directory("blobs/sha256")

    static func header(_ digest: Digest, _ size: Int64) -> [UInt8] {
        TarHeader.file("blobs/sha256/\(digest.hex)", size: size)
    }

    /// By the position in what was foreseen; nil where the size is not known.
    private(set) var rooms: [Room?] = []
    private(set) var byDigest: [Digest: Room] = [:]
    /// Where the next room begins.
    private(set) var end = Int64(directories.count)

    init() {}

    /// - Parameter blobs: those that will come, in order. One that is named twice gets one room.
    init(_ blobs: [ForeseenBlob]) {
        for blob in blobs {
            if let digest = blob.digest, let room = byDigest[digest] {
                rooms.append(room)
                continue
            }
            let room = blob.size.map { add($0) }
            rooms.append(room)
            if let digest = blob.digest, let room { byDigest[digest] = room }
        }
    }

    /// A room behind all others.
    mutating func add(_ size: Int64) -> Room {
        let room = Room(offset: end, size: size)
        end = room.end
        return room
    }

    mutating func name(_ room: Room, _ digest: Digest) { byDigest[digest] = room }
}
