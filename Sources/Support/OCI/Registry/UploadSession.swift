internal import HTTP
internal import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// An upload under way: where the next request of it goes.
///
/// ```
/// POST blobs/uploads/ → 202, Location
/// PATCH Location      → 202, another Location, Range: 0-E
/// PUT Location&digest → 201
/// ```
///
/// Source: OCI distribution-spec 1.1, "Pushing blobs".
final class UploadSession: Sendable {
    /// How long a registry may think about the request that closes an upload: some copy the blob meanwhile.
    private static let closingTimeout = Duration.seconds(600)

    /// Somebody who pressed Ctrl-C waits for this.
    private static let cancellingTimeout = Duration.seconds(1)

    let client: RegistryClient
    let size: Int64
    /// Of the latest answer: an older one is not good any more.
    private let location: Mutex<WebAddress>
    private let purpose: RegistryHost.Purpose

    static func begin(_ client: RegistryClient, size: Int64) throws -> UploadSession {
        let request = HTTPRequest(.post, try client.url("blobs/uploads/"))
        let purpose = purpose(client)
        let response = try client.send(request, purpose)
        guard response.status == 202 else { throw client.server.refusal(response, of: purpose) }
        guard let session = UploadSession(client, answer: response, to: request, size: size) else {
            throw noLocation(client)
        }
        return session
    }

    /// Nil when the answer names no place to go on at.
    init?(_ client: RegistryClient, answer: HTTPResponse, to request: HTTPRequest, size: Int64) {
        guard let location = Self.location(answer, request) else { return nil }
        self.client = client
        self.size = size
        self.location = Mutex(location)
        purpose = Self.purpose(client)
    }

    private static func purpose(_ client: RegistryClient) -> RegistryHost.Purpose {
        client.purpose("upload a blob to \(client.name)")
    }

    private static func location(_ answer: HTTPResponse, _ request: HTTPRequest) -> WebAddress? {
        guard let location = answer.headers["Location"].flatMap({ request.url.resolving($0) }) else { return nil }
        // A proxy that ends TLS and does not say so makes the registry believe that we spoke plain HTTP.
        let isDowngrade =
            request.url.scheme == .https && location.scheme == .http && location.host == request.url.host
        guard isDowngrade else { return location }
        let isDefault = location.port == 80 || location.port == request.url.port
        return isDefault
            ? WebAddress(.https, host: location.host, port: request.url.port, target: location.target)
            : location.replacingScheme(.https)
    }

    private static func noLocation(_ client: RegistryClient) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "registry.upload", "\(client.host) does not say where an upload goes on",
            remedy: "this is for the registry's operator to mend")
    }

    // MARK: The body

    /// Sends all bytes in one request.
    func send(_ source: any ByteSource, _ activity: Activity?) throws {
        guard size > 0 else { return }
        if case .stream = source.backing {
            let upload = try stream(activity)
            var sink = StreamSink(upload: upload)
            try source.read(0..<size, into: &sink)
            try sent(try upload.finish())
        } else {
            var request = patch()
            request.body = .source(source, 0..<size, activity)
            let response = try client.server.send(request, for: purpose)
            guard response.isSuccess else { throw Self.refusal(response, client, purpose) }
            try sent(response)
        }
    }

    /// Begins to send bytes that are still being made.
    func stream(_ activity: Activity?) throws -> StreamingUpload {
        var request = patch()
        try client.server.authorizeAhead(&request, for: purpose)
        let (client, purpose) = (client, purpose)
        return try client.server.session.transport(for: request.url).upload(request, size: size, activity: activity) {
            Self.refusal($0, client, purpose, isStreamed: true)
        }
    }

    private func patch() -> HTTPRequest {
        HTTPRequest(
            .patch, location.withLock { $0 }, headers: ["Content-Type": "application/octet-stream"])
    }

    /// Takes note of the answer to the body.
    func sent(_ response: HTTPResponse) throws {
        guard let next = Self.location(response, patch()) else { throw Self.noLocation(client) }
        location.withLock { $0 = next }
        guard size > 0, let text = response.headers["Range"] else { return }
        let end = text.split(separator: "=").last?.split(separator: "-").last.flatMap { Int64($0) }
        guard end == size - 1 else {
            throw KapsuleError(
                .unavailable, id: "http.cut",
                "\(client.host) has received bytes \(Excerpt.of(text, limit: 40)) of a blob of \(size)",
                remedy: "running the command again resumes")
        }
    }

    // MARK: The end

    /// Gives the bytes their name.
    ///
    /// - Throws: `.unverified` when the registry found another digest.
    func close(_ digest: Digest) throws {
        var request = HTTPRequest(.put, location.withLock { $0 }.adding("digest", digest.description))
        request.headers["Content-Type"] = "application/octet-stream"
        request.stallTimeout = max(Self.closingTimeout, client.server.session.options.transport.stallTimeout)
        do {
            let response = try client.server.send(request, for: purpose)
            guard response.isSuccess else { throw Self.refusal(response, client, purpose) }
            try client.check(response, names: digest, "the blob \(digest)")
        } catch let error as KapsuleError where error.isTransientHTTP {
            // It may have been done, and only the answer was lost.
            guard try client.blobSize(digest) == size else { throw error }
        }
    }

    /// Ends the session at the registry, which would keep the bytes it has got. Its answer does not matter.
    func cancel() {
        var request = HTTPRequest(.delete, location.withLock { $0 })
        request.stallTimeout = Self.cancellingTimeout
        // On a thread without a task: ours may be cancelled, which ends every request of it.
        _ = try? concurrently({ [self, request] in try client.server.send(request, for: purpose) }, {})
    }

    private static func refusal(
        _ response: HTTPResponse, _ client: RegistryClient, _ purpose: RegistryHost.Purpose, isStreamed: Bool = false
    ) -> KapsuleError {
        let codes = RegistryFailure.codes(response)
        if codes.contains("DIGEST_INVALID") || codes.contains("SIZE_INVALID") {
            return KapsuleError(
                .unverified, id: "registry.digest",
                "\(client.host) received something else than was promised: \(RegistryFailure.reason(response))",
                remedy: "build it again; if it happens again, something between here and the registry changes it")
        }
        // The session is gone, or the token expired under a body that cannot be sent twice: a new upload may do.
        if response.status == 404 || response.status == 416 || (response.status == 401 && isStreamed) {
            return RegistryFailure.unavailable(response, client.host, "to \(purpose.doing)")
        }
        return client.server.refusal(response, of: purpose)
    }
}

private struct StreamSink: ByteSink {
    let upload: StreamingUpload
    mutating func write(_ bytes: Span<UInt8>) throws { try upload.write(bytes) }
}
