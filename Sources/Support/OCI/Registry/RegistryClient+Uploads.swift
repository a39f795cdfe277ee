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
        if try blobSize(blob.digest) == blob.size {
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
        try server.retry.run { attempt in
            activity?.restart(at: 0)
            let upload = try UploadSession.begin(self, size: blob.size)
            do {
                try upload.send(source, activity)
                try upload.close(blob.digest)
            } catch {
                upload.cancel()
                throw error
            }
        }
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

    /// Begins an upload of `size` bytes whose digest is known when they all have been written.
    ///
    /// - Throws: `.unauthorized`, `.unavailable`.
    public func beginStreamedUpload(size: Int64, activity: Activity? = nil) throws -> StreamedBlobUpload {
        let session = try UploadSession.begin(self, size: size)
        return StreamedBlobUpload(session, try session.stream(activity))
    }
}
