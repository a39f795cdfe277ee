public import KapsuleCore
internal import KapsuleCrypto
public import KapsuleIO

extension ImageLayout {
    /// Where a blob is, or would be.
    public func path(of digest: Digest) -> String { "\(blobDirectory)/\(digest.hex)" }

    /// Whether the blob is here in its full size. Its content was hashed when it came, and is not read.
    public func contains(_ blob: Artifact) throws -> Bool {
        guard let status = try FileStatus.of(path(of: blob.digest), followsLinks: true) else { return false }
        return status.kind == .regular && status.size == blob.size
    }

    /// The blob of that name; nil when there is none.
    public func blob(_ digest: Digest) throws -> FileSource? {
        guard try FileStatus.of(path(of: digest), followsLinks: true) != nil else { return nil }
        return try FileSource(OpenFile.reading(path(of: digest)), digest: digest, keepsItsName: false)
    }

    /// The blob that a descriptor speaks of.
    ///
    /// - Throws: `.unverified` when it is missing or has another size.
    public func blob(_ artifact: Artifact) throws -> FileSource {
        guard let source = try blob(artifact.digest) else {
            throw KapsuleError(
                .unverified, id: "layout.blob-missing", "\(path) has no blob \(artifact.digest)",
                remedy: "the layout is incomplete: make it again, or copy the image into it again")
        }
        guard source.size == artifact.size else {
            throw KapsuleError(
                .unverified, id: "layout.blob-size",
                "blob \(artifact.digest) in \(path) has \(source.size) bytes, and should have \(artifact.size)",
                remedy: "the blob is damaged: remove \(path(of: artifact.digest)) and make or copy the image again")
        }
        return source
    }

    /// A blob to be written. It has no name until it is committed.
    ///
    /// - Parameters:
    ///   - hashes: whether the writer works out the digest; else `commit(vouchedFor:)` is told.
    ///   - key: what a run that is killed leaves of the blob is found under it; nil to leave nothing.
    public func writer(hashes: Bool = true, key: Digest? = nil) throws -> BlobWriter {
        // A layout may have been written by a tool that makes the directory with the first blob.
        try Directories.make(blobDirectory)
        return try BlobWriter(self, hashes: hashes, key: key)
    }

    /// Stores all of `source`, hashed on the way, and checked against what it claims to be. A source that knows its
    /// digest is not read when a blob of that name and size is here.
    public func put(_ source: some ByteSource) throws -> Artifact {
        if let digest = source.digest {
            let known = Artifact(digest: digest, size: source.size)
            if try contains(known) { return known }
        }
        let writer = try writer()
        try writer.reserve(source.size)
        try writer.append(source)
        return try writer.commit(expecting: source.digest.map { Artifact(digest: $0, size: source.size) })
    }

    public func put(_ bytes: [UInt8]) throws -> Artifact { try put(MemorySource(bytes)) }

    public func put<Content>(_ document: Document<Content>) throws -> Artifact {
        try put(MemorySource(document.bytes, digest: document.digest))
    }
}
