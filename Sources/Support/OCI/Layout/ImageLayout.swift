internal import KapsuleCore
internal import KapsuleIO

/// A directory that holds images, shared with other processes and other tools.
///
///     DIR/oci-layout            {"imageLayoutVersion":"1.0.0"}
///     DIR/index.json            names → manifests; replaced in one act, under an exclusive lock
///     DIR/blobs/sha256/HEX      manifests, configs, layers; appear whole and on the device, never change
///     DIR/.kapsule.lock         what writers of index.json lock
///
/// Readers take no lock: an `index.json` is replaced by a rename, and a blob has its name only when it is complete.
/// The lock keeps two kapsules from losing each other's tags; other tools do not know it, and have no other.
///
/// Source: OCI image-spec v1.1, image-layout.md.
public struct ImageLayout: Sendable {
    /// As given by the caller.
    public let path: String

    /// Permission bits of a blob. Nobody may write to one: its inode can be shared with another layout by a hard link,
    /// and its name promises its content. Anyone may read, as other tools have it; a layout that is nobody else's
    /// business says so by the mode of its directory.
    static let blobMode: UInt32 = 0o444

    /// A layout that exists.
    ///
    /// - Throws: `.usage` when `path` is no layout, or one of a version that is not known.
    public static func open(_ path: String) throws -> ImageLayout {
        let layout = ImageLayout(path: path)
        try layout.checkVersion()
        return layout
    }

    /// A layout that exists, or a new one; both when several processes come at once.
    ///
    /// - Parameter mode: of the directory, where it is new.
    /// - Throws: `.conflict` when `path` is a directory with something else in it.
    public static func create(_ path: String, mode: UInt32 = 0o755) throws -> ImageLayout {
        let layout = ImageLayout(path: path)
        if try FileStatus.of(layout.markerPath, followsLinks: true) == nil {
            try layout.make(mode: mode)
        }
        try layout.checkVersion()
        return layout
    }

    private init(path: String) { self.path = path }

    private func make(mode: UInt32) throws {
        try Directories.make(path, mode: mode)
        let others = try Directories.names(in: path).filter {
            !["blobs", "index.json", "oci-layout", Self.lockName].contains($0)
                && !$0.hasPrefix(AtomicFile.temporaryPrefix)
        }
        if let other = others.first {
            throw KapsuleError(
                .conflict, id: "layout.occupied", "cannot make an OCI layout in \(path): it holds '\(other)'",
                remedy: "name an empty directory, or one that is a layout already")
        }
        let lock = try lock()
        try Directories.make(blobDirectory)
        // What others may have made first is kept. The marker comes last: with it, the layout is one.
        try AtomicFile.write(LayoutIndex().bytes, to: indexPath, existing: .keep)
        try AtomicFile.write(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), to: markerPath, existing: .keep)
        withExtendedLifetime(lock) {}
    }

    private func checkVersion() throws {
        struct Marker: Decodable { let imageLayoutVersion: String }
        guard try FileStatus.of(markerPath, followsLinks: true)?.kind == .regular else {
            throw KapsuleError(
                .usage, id: "layout.none", "\(path) is not an OCI layout: it has no file oci-layout",
                remedy: "check the path; a layout is a directory with oci-layout, index.json and blobs")
        }
        let bytes = try FileSource(path: markerPath).readAll(limit: 4096, what: markerPath)
        let version = try decode(Marker.self, from: bytes, what: markerPath).imageLayoutVersion
        // umoci and skopeo write 1.0.0; later 1.x promise to be readable.
        guard version.hasPrefix("1.") else {
            throw KapsuleError(
                .usage, id: "layout.version", "\(path) is an OCI layout of version '\(version.prefix(40))', not 1",
                remedy: "write it again with a tool that makes version 1.0.0")
        }
    }

    static let lockName = ".kapsule.lock"
    var markerPath: String { path + "/oci-layout" }
    var indexPath: String { path + "/index.json" }
    var blobDirectory: String { path + "/blobs/sha256" }

    func lock() throws -> FileLock { try FileLock("\(path)/\(Self.lockName)", .exclusive) }
}
