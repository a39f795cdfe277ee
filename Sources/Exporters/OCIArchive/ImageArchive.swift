internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
public import OCI

/// An OCI layout in a tar file, read where it lies: a blob is a part of the file, and nothing is unpacked.
///
/// As skopeo's and podman's `oci-archive` and `docker save` write it. Entries may come in any order; where two have one
/// name the later counts, as for tar.
///
/// Source: OCI image-spec v1.1, image-layout.md; containers-transports(5), "oci-archive".
public struct ImageArchive: Sendable {
    /// Longest path of an entry that means anything here is that of a blob.
    private static let blobPrefix = "blobs/sha256/"

    public let path: String
    private let source: FileSource
    /// The regular files, by path.
    private let files: [String: TarEntry]

    /// - Throws: `.usage` for a file that is no archive of images, `.unverified` for a damaged one.
    public init(opening path: String) throws {
        self.path = path
        source = try FileSource(path: path)
        try Self.check(source, path)
        var files: [String: TarEntry] = [:]
        for entry in try TarIndex.reading(source, what: path).entries where entry.kind == .file {
            files[Self.normalised(entry.path)] = entry
        }
        self.files = files
        try checkLayout()
    }

    /// Whether a file is a tar archive by its first bytes, so that its name on the command line can mean this.
    public static func isTar(_ path: String) throws -> Bool {
        guard try FileStatus.of(path, followsLinks: true)?.kind == .regular else { return false }
        return try isTar(head(of: FileSource(path: path)))
    }

    // "ustar" at 257 in every archive of this century: POSIX.1-1988 and GNU tar.
    private static func isTar(_ head: [UInt8]) -> Bool {
        head.count == TarHeader.blockSize && head[257..<262].elementsEqual("ustar".utf8)
    }

    private static func head(of source: FileSource) throws -> [UInt8] {
        var sink = MemorySink()
        try source.read(0..<min(source.size, Int64(TarHeader.blockSize)), into: &sink)
        return sink.bytes
    }

    private static func check(_ source: FileSource, _ path: String) throws {
        let head = try head(of: source)
        guard !head.starts(with: [0x1F, 0x8B]), !head.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) else {
            throw KapsuleError(
                .usage, id: "archive.compressed", "\(path) is compressed, and an archive is read in place",
                remedy: head[0] == 0x1F ? "unpack it first: gunzip \(path)" : "unpack it first: zstd -d \(path)")
        }
        guard isTar(head) else {
            throw KapsuleError(
                .usage, id: "archive.no-tar", "\(path) is no tar archive",
                remedy: "name a file that 'kapsule export --format oci-archive' or 'skopeo copy … oci-archive:' made")
        }
    }

    private static func normalised(_ path: String) -> String {
        var rest = Substring(path)
        while rest.hasPrefix("./") { rest = rest.dropFirst(2) }
        return String(rest)
    }

    private func checkLayout() throws {
        guard files["index.json"] == nil else { return }
        if files["manifest.json"] != nil {
            throw KapsuleError(
                .usage, id: "archive.docker", "\(path) is an archive of old 'docker save', which is no OCI layout",
                remedy: "convert it: skopeo copy docker-archive:\(path) oci-archive:\(path).oci.tar")
        }
        throw KapsuleError(
            .usage, id: "archive.no-layout", "\(path) is a tar archive without index.json, and so no archive of images",
            remedy: "name a file that 'kapsule export --format oci-archive' or 'skopeo copy … oci-archive:' made")
    }

    /// The images in it.
    public func images() throws -> ListedImages {
        let entry = try found("index.json")
        guard entry.size <= ListedImages.longestIndex else {
            throw KapsuleError(
                .unverified, id: "source.too-large", "index.json of \(path) has \(entry.size) bytes",
                remedy: "use an archive that a sound tool made")
        }
        let bytes = try slice(entry, nil).readAll(limit: ListedImages.longestIndex, what: "index.json of \(path)")
        return try ListedImages(reading: bytes, place: path) { descriptor in
            let what = "index \(descriptor.digest) of \(path)"
            return try ImageIndex.decode(document(descriptor, what: what), what: what).content
        }
    }

    /// - Parameter tag: a tag or a digest; nil for the only image.
    public func origin(named tag: String?) throws -> any ImageOrigin {
        let descriptor = try images().only(tag)
        return ArchiveOrigin(archive: self, name: "oci-archive:\(path)" + (tag.map(Self.suffix) ?? ""), descriptor)
    }

    private static func suffix(_ tag: String) -> String { tag.hasPrefix("sha256:") ? "@\(tag)" : ":\(tag)" }

    fileprivate func blob(_ artifact: Artifact) throws -> any ByteSource {
        let entry = try found(Self.blobPrefix + artifact.digest.hex)
        guard entry.size == artifact.size else {
            throw KapsuleError(
                .unverified, id: "layout.blob-size",
                "blob \(artifact.digest) in \(path) has \(entry.size) bytes, and should have \(artifact.size)",
                remedy: "fetch or make the archive again")
        }
        return slice(entry, artifact.digest)
    }

    fileprivate func document(_ descriptor: Descriptor, what: String) throws -> [UInt8] {
        let bytes = try blob(descriptor.artifact).readAll(limit: DocumentLimit.manifest, what: what)
        guard Digest.of(bytes) == descriptor.digest else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(what) is damaged: blob \(descriptor.digest) has the digest \(Digest.of(bytes))",
                remedy: "fetch or make the archive again")
        }
        return bytes
    }

    private func found(_ name: String) throws -> TarEntry {
        guard let entry = files[name] else {
            throw KapsuleError(
                .unverified, id: "layout.blob-missing", "\(path) has no '\(name)'",
                remedy: "the archive is incomplete: fetch or make it again")
        }
        return entry
    }

    private func slice(_ entry: TarEntry, _ digest: Digest?) -> SliceSource {
        SliceSource(source, entry.contentOffset..<entry.contentOffset + entry.size, digest: digest)
    }
}

/// An image in an archive.
private struct ArchiveOrigin: ImageOrigin {
    let name: String
    let reference: Reference? = nil
    var tag: String? { LayoutEntry(descriptor: descriptor).tag }
    private let archive: ImageArchive
    private let descriptor: Descriptor

    init(archive: ImageArchive, name: String, _ descriptor: Descriptor) {
        self.archive = archive
        self.name = name
        self.descriptor = descriptor
    }

    func root() throws -> RawManifest { try manifest(descriptor) }

    func manifest(_ descriptor: Descriptor) throws -> RawManifest {
        RawManifest(
            bytes: try archive.document(descriptor, what: "the manifest \(descriptor.digest) of \(name)"),
            mediaType: descriptor.mediaType, digest: descriptor.digest)
    }

    func blob(_ descriptor: Descriptor) throws -> any ByteSource { try archive.blob(descriptor.artifact) }
}
