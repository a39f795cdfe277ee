internal import HTTP
public import KapsuleCore
internal import KapsuleIO

/// How a blob came to be in a registry.
public enum BlobUploadOutcome: Sendable, Hashable {
    case existed, mounted, uploaded
}

extension RegistryClient {
    /// Makes sure that the registry has a blob: looks, tries to mount it, uploads it.
    ///
    /// An upload that broke off, in this process or in an earlier one, goes on where the registry says that it stands.
    ///
    /// - Parameters:
    ///   - repositories: of the same registry, where the blob may be already.
    ///   - activity: hears of the bytes that are sent; jumps to the end where none need to be.
    /// - Throws: `.unverified` when `source` does not have the digest that `blob` says.
    @discardableResult
    public func uploadBlob(
        _ blob: Descriptor, from source: any ByteSource, mountFrom repositories: [String] = [],
        activity: Activity? = nil
    ) throws -> BlobUploadOutcome {
        precondition(source.size == blob.size, "a source is as long as its descriptor says")
        if try hasBlob(blob.artifact) {
            activity?.restart(at: 0)
            activity?.advance(by: Int(blob.size))
            return .existed
        }
        for other in repositories where other != repository {
            if try mountBlob(blob.digest, from: other) {
                activity?.restart(at: 0)
                activity?.advance(by: Int(blob.size))
                return .mounted
            }
        }
        try BlobUpload(client: self, blob: blob, source: source, activity: activity).run()
        return .uploaded
    }

    /// Takes a blob over from another repository of the same registry; false when that cannot be.
    public func mountBlob(_ digest: Digest, from other: String) throws -> Bool {
        let purpose = purpose(
            "mount the blob \(digest) from \(other)", also: [Scope(repository: other, .pull)])
        let url = try url("blobs/uploads/").adding("mount", digest.description).adding("from", other)
        let request = HTTPRequest(.post, url)
        let response = try send(request, purpose)
        switch response.status {
        case 201: return true
        case 202:
            // Not mounted: the session it opened instead is not ours to leave open.
            if let upload = UploadSession(self, answer: response, to: request, size: 0) { upload.cancel() }
            return false
        // May not read there, or not mount at all: then it is uploaded.
        case 400, 401, 403, 404, 405: return false
        default: throw server.refusal(response, of: purpose)
        }
    }

    /// Whether it takes bytes whose digest is known only when they all have come.
    public var takesStreams: Bool { server.uploadForm != .whole }

    /// Begins an upload of `size` bytes whose digest is known when they all have been written.
    ///
    /// - Parameter key: stands for the bytes, as far as is known before they are made: an upload of this key that an
    ///   earlier process began goes on where it stopped. Should they be others after all, the registry notices, and the
    ///   next upload begins anew. Nil for bytes that never come again.
    /// - Throws: `.unauthorized`, `.unavailable`.
    public func beginStreamedUpload(
        size: Int64, key: String? = nil, activity: Activity? = nil
    ) throws -> StreamedBlobUpload {
        let kept = key.flatMap { record("stream \($0)", size) }
        if let kept, let session = try UploadSession.resume(self, size: size, kept) {
            return try StreamedBlobUpload(session, activity)
        }
        return try StreamedBlobUpload(try UploadSession.begin(self, size: size, kept), activity)
    }

    /// Uploads shorter than this are not worth a note.
    static let smallestRecorded: Int64 = 1 << 20

    func record(_ what: String, _ size: Int64) -> UploadRecord? {
        guard size >= Self.smallestRecorded else { return nil }
        return UploadRecord.open(
            cache: server.session.options.cacheDirectory, host: host, repository: repository, what: what, size: size)
    }
}

/// One blob, sent in as many uploads as it takes.
private struct BlobUpload {
    /// Bytes that count as progress, and refresh the number of attempts.
    private static let progress: Int64 = 1 << 20

    let client: RegistryClient
    let blob: Descriptor
    let source: any ByteSource
    let activity: Activity?

    func run() throws {
        let record = client.record(blob.digest.description, blob.size)
        var session: UploadSession?
        if let record { session = try UploadSession.resume(client, size: blob.size, record) }
        var furthest = session?.offset ?? 0
        var isSure = true
        try client.server.retry.run { attempt in
            if !isSure, let current = session {
                if try current.inquire() {
                    if current.offset - furthest >= Self.progress { attempt.progressed() }
                    furthest = max(furthest, current.offset)
                } else {
                    current.cancel()
                    session = nil
                    if try client.hasBlob(blob.artifact) { return }
                }
                isSure = true
            }
            let upload = try session ?? UploadSession.begin(client, size: blob.size, record)
            session = upload
            activity?.restart(at: upload.offset)
            do {
                try upload.send(source, blob.digest, activity)
            } catch let error as KapsuleError where error.isTransientHTTP {
                isSure = false
                throw error
            } catch {
                // Another process can go on after an interrupt; nobody can after a refusal.
                if (error as? KapsuleError)?.code != .interrupted || !upload.canGoOn { upload.cancel() }
                throw error
            }
        }
    }
}
