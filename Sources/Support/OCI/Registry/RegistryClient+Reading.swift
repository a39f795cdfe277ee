internal import HTTP
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

extension RegistryClient {
    /// Length of a blob that the registry has; nil when it has none of that digest.
    public func blobSize(_ digest: Digest) throws -> Int64? {
        let purpose = purpose("look up the blob \(digest) of \(name)")
        let response = try send(HTTPRequest(.head, try url("blobs/\(digest)")), purpose)
        switch response.status {
        case 200:
            try check(response, names: digest, "the blob \(digest)")
            return response.contentLength
        case 404: return nil
        default: throw server.refusal(response, of: purpose)
        }
    }

    /// A blob as a source.
    public func blob(_ blob: Descriptor) -> BlobSource { BlobSource(client: self, descriptor: blob) }

    /// All of a small blob, checked, such as a config.
    ///
    /// - Throws: `.unverified` when it is longer than `limit` bytes or not what its descriptor says.
    public func blobBytes(_ blob: Descriptor, limit: Int64) throws -> [UInt8] {
        let what = "blob \(blob.digest) of \(name)"
        guard blob.size <= limit else {
            throw KapsuleError(
                .unverified, id: "source.too-large",
                "\(what) has \(blob.size) bytes, more than the \(limit) that such a document may have")
        }
        var sink = VerifyingSink(MemorySink(), expecting: blob.artifact, what: what)
        try readBlob(blob, into: &sink)
        try sink.finish()
        return sink.next.bytes
    }

    /// Reads a blob, or a range of it, resuming at the byte where a connection broke.
    ///
    /// The bytes are not checked against the digest; see `VerifyingSink`.
    ///
    /// - Throws: `.unavailable` when the bytes stop coming; `.unverified` when the blob has another length than its
    ///   descriptor says; what `sink` throws.
    public func readBlob(
        _ blob: Descriptor, range: Range<Int64>? = nil, into sink: inout some ByteSink & ~Copyable
    ) throws {
        let range = range ?? 0..<blob.size
        precondition(range.lowerBound >= 0 && range.upperBound <= blob.size, "a read lies within its blob")
        // A range at the end is answered 416; docker-registry 2.8.2 sends that with a length that hangs clients.
        guard !range.isEmpty else { return }
        try BlobReading(client: self, blob: blob, delivery: Delivery(range)).run { try sink.write($0) }
    }
}

/// How far a read has come, over all its requests.
private final class Delivery {
    /// Next byte the sink gets, and where it stops; from the start of the blob.
    private(set) var position: Int64
    let end: Int64
    /// Bytes that come before `position`, from a server that ignores ranges.
    var toSkip: Int64 = 0
    private(set) var sinkHasFailed = false

    init(_ range: Range<Int64>) {
        position = range.lowerBound
        end = range.upperBound
    }

    /// Ends a request whose remaining bytes nobody wants.
    struct IsComplete: Error {}

    func take(_ bytes: Span<UInt8>, _ deliver: (Span<UInt8>) throws -> Void) throws {
        let skipped = Int(min(toSkip, Int64(bytes.count)))
        toSkip -= Int64(skipped)
        let wanted = Int(min(end - position, Int64(bytes.count - skipped)))
        guard wanted > 0 else {
            if position == end { throw IsComplete() }
            return
        }
        do {
            try deliver(bytes.extracting(skipped..<skipped + wanted))
        } catch {
            sinkHasFailed = true
            throw error
        }
        position += Int64(wanted)
        if skipped + wanted < bytes.count { throw IsComplete() }
    }
}

/// One read of a blob, in as many requests as it takes.
private struct BlobReading {
    /// Bytes that count as progress, and refresh the number of attempts. Source: containers/image, `bodyReader`.
    private static let progress: Int64 = 1 << 20

    let client: RegistryClient
    let blob: Descriptor
    let delivery: Delivery

    func run(_ deliver: (Span<UInt8>) throws -> Void) throws {
        let purpose = client.purpose("read the blob \(blob.digest) of \(client.name)")
        while delivery.position < delivery.end {
            try client.server.retry.run { attempt in
                let start = delivery.position
                defer {
                    attempt.isFinal = delivery.sinkHasFailed
                    if delivery.position - start >= Self.progress { attempt.progressed() }
                }
                try read(purpose, &attempt, deliver)
            }
        }
    }

    /// One request. Returns when the body has ended well, which may be before the end of what is wanted.
    private func read(
        _ purpose: RegistryHost.Purpose, _ attempt: inout RetryPolicy.Attempt,
        _ deliver: (Span<UInt8>) throws -> Void
    ) throws {
        let start = delivery.position
        let request = try request()
        let response: HTTPResponse
        do {
            response = try client.server.fetch(request, for: purpose, accepting: accepts) {
                try delivery.take($0, deliver)
            }
        } catch is Delivery.IsComplete {
            return
        }
        guard response.status == 200 || response.status == 206 else {
            attempt.heard(response)
            // A signed address expires. The next attempt asks the registry for a new one.
            let isStorage = response.status == 403 && !response.url.hasSameOrigin(as: request.url)
            throw isStorage
                ? RegistryFailure.unavailable(response, response.url.authority, "to \(purpose.doing)")
                : client.server.refusal(response, of: purpose)
        }
        guard delivery.position > start else {
            throw KapsuleError(
                .unavailable, id: "http.cut",
                "\(client.host) ended the blob \(blob.digest) at byte \(delivery.position) of \(blob.size)",
                remedy: "running the command again resumes")
        }
    }

    private func request() throws -> HTTPRequest {
        var request = HTTPRequest(.get, try client.url("blobs/\(blob.digest)"))
        if delivery.position > 0 || delivery.end < blob.size {
            request.headers["Range"] = "bytes=\(delivery.position)-\(delivery.end - 1)"
        }
        return request
    }

    private func accepts(_ response: HTTPResponse) throws -> Bool {
        switch response.status {
        case 200:
            if let length = response.contentLength, length != blob.size { throw wrongSize(length) }
            delivery.toSkip = delivery.position
        case 206:
            guard let text = response.headers["Content-Range"], let content = ContentRange(parsing: text),
                content.range.lowerBound == delivery.position, content.range.upperBound <= delivery.end
            else {
                throw KapsuleError(
                    .unavailable, id: "registry.range",
                    "\(client.host) answers for another range of the blob \(blob.digest) than bytes "
                        + "\(delivery.position) to \(delivery.end - 1)",
                    remedy: "this is for the registry's operator to mend")
            }
            if let total = content.total, total != blob.size { throw wrongSize(total) }
            delivery.toSkip = 0
        default: return false
        }
        return true
    }

    private func wrongSize(_ size: Int64) -> KapsuleError {
        KapsuleError(
            .unverified, id: "registry.size",
            "the blob \(blob.digest) of \(client.name) has \(size) bytes, and its descriptor says \(blob.size)",
            remedy: "push the image again: its manifest does not describe its blobs")
    }
}
