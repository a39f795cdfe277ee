internal import HTTP
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

extension RegistryClient {
    /// Whether the registry has a blob of that digest, and in that length where it says how long it is: not all do, nor
    /// all proxies before them.
    public func hasBlob(_ blob: Artifact) throws -> Bool {
        let purpose = purpose("look up the blob \(blob.digest) of \(name)")
        let response = try send(HTTPRequest(.head, try url("blobs/\(blob.digest)")), purpose)
        switch response.status {
        case 200:
            try check(response, names: blob.digest, "the blob \(blob.digest)")
            return response.contentLength.map { $0 == blob.size } ?? true
        case 404: return false
        // Storage behind a signed address may take it for GET only. Then the blob is sent again, which is never wrong.
        case 403 where !server.isOurs(response.url): return false
        default: throw server.refusal(response, of: purpose)
        }
    }

    /// A blob as a source.
    public func blob(_ blob: Descriptor) -> BlobSource { BlobSource(client: self, descriptor: blob) }

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
        guard !range.isEmpty else { return }
        let origin = BlobOrigin(client: self, blob: blob)
        try origin.read(range, RangeOptions(connections: try origin.connections()), into: &sink)
    }
}

/// A blob of a registry, any range of which can be asked for.
private struct BlobOrigin: RangeOrigin {
    /// Connections for one blob where the way to the registry is long. On loopback the server works on our own cores, and one
    /// is enough.
    private static let farConnections = 3

    let client: RegistryClient
    let blob: Descriptor

    var size: Int64 { blob.size }
    var name: String { "the blob \(blob.digest) of \(client.name)" }
    var retry: RetryPolicy { client.server.retry }
    private var purpose: RegistryHost.Purpose { client.purpose("read \(name)") }

    func connections() throws -> Int { try client.server.base().isLoopback ? 1 : Self.farConnections }

    func get(
        _ range: Range<Int64>, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        var request = HTTPRequest(.get, try client.url("blobs/\(blob.digest)"))
        // Without need it would only find out whether the server knows ranges. One at the end is answered 416, which
        // docker-registry 2.8.2 sends with a length that hangs clients; nobody asks for that.
        if range != 0..<blob.size { request.headers["Range"] = ByteRange.header(range) }
        return try client.server.fetch(request, for: purpose, accepting: accepting, deliver: deliver)
    }

    func refusal(_ response: HTTPResponse) -> KapsuleError {
        // A signed address expires. The next attempt asks the registry for a new one.
        response.status == 403 && !client.server.isOurs(response.url)
            ? RegistryFailure.unavailable(response, response.url.authority, "to \(purpose.doing)")
            : client.server.refusal(response, of: purpose)
    }
}
