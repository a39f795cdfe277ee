internal import HTTP
internal import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// An upload under way: where the next request of it goes, and how much the registry has.
///
/// ```
/// POST blobs/uploads/ → 202, Location
/// PATCH Location      → 202, another Location, Range: 0-E
/// PUT Location&digest → 201
/// ```
///
/// Source: OCI distribution-spec 1.1, "Pushing blobs".
final class UploadSession: Sendable {
    /// So many times longer than usual a registry may think about the request that closes an upload: some copy the blob
    /// meanwhile.
    private static let closingPatience = 10

    /// Somebody who pressed Ctrl-C waits for this.
    private static let cancellingTimeout = Duration.seconds(1)

    private struct State {
        /// Of the latest answer: an older one is not good any more.
        var location: WebAddress
        /// Bytes that the registry has, as far as it has said.
        var offset: Int64 = 0
        /// Whether its bytes came in several requests, not all of which ended well.
        var isPatchedTogether = false
        var isClosed = false
        /// Whether the registry said something that will not be different another time.
        var isRefused = false
    }

    let client: RegistryClient
    let size: Int64
    /// Shortest chunk that the registry wants, in bytes.
    private let shortestChunk: Int64
    private let record: UploadRecord?
    private let purpose: RegistryHost.Purpose
    private let state: Mutex<State>

    // MARK: The beginning

    static func begin(_ client: RegistryClient, size: Int64, _ record: UploadRecord? = nil) throws -> UploadSession {
        let request = HTTPRequest(.post, try client.url("blobs/uploads/"))
        let purpose = purpose(client)
        let response = try client.send(request, purpose)
        guard response.status == 202 else { throw client.server.refusal(response, of: purpose) }
        guard let session = UploadSession(client, answer: response, to: request, size: size, record) else {
            throw noLocation(client)
        }
        record?.note(session.location)
        return session
    }

    /// Nil when the answer names no place to go on at.
    convenience init?(
        _ client: RegistryClient, answer: HTTPResponse, to request: HTTPRequest, size: Int64,
        _ record: UploadRecord? = nil
    ) {
        guard let location = Self.location(answer, request) else { return nil }
        let shortest = answer.headers["OCI-Chunk-Min-Length"].flatMap { Int64($0) } ?? 0
        self.init(client, location, size: size, shortestChunk: max(0, shortest), record)
    }

    private init(
        _ client: RegistryClient, _ location: WebAddress, size: Int64, shortestChunk: Int64, _ record: UploadRecord?
    ) {
        self.client = client
        self.size = size
        self.shortestChunk = shortestChunk
        self.record = record
        state = Mutex(State(location: location))
        purpose = Self.purpose(client)
    }

    /// An upload that an earlier process began, where the registry still knows it; nil for none.
    static func resume(_ client: RegistryClient, size: Int64, _ record: UploadRecord) throws -> UploadSession? {
        guard let location = record.location else { return nil }
        let session = UploadSession(client, location, size: size, shortestChunk: 0, record)
        guard try session.inquire() else {
            session.cancel()
            return nil
        }
        return session
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

    // MARK: Where it stands

    private var location: WebAddress { state.withLock(\.location) }
    /// Bytes that the registry has.
    var offset: Int64 { state.withLock(\.offset) }

    /// Asks the registry how much it has.
    ///
    /// - Returns: false when the session is of no use any more. `Range: 0-0` is one byte or none, and nobody can tell.
    func inquire() throws -> Bool {
        // Nothing can be added to what has come of a body that has to come whole.
        guard client.server.uploadForm != .whole else { return false }
        let request = HTTPRequest(.get, location)
        let response = try client.send(request, purpose)
        guard response.isSuccess, case let next = Self.location(response, request) ?? location,
            let end = Self.end(of: response), end > 0, end < size
        else { return false }
        state.withLock { ($0.location, $0.offset, $0.isPatchedTogether) = (next, end + 1, true) }
        record?.note(next)
        return true
    }

    /// The last byte that an answer confirms: `Range: 0-E`, also with `bytes=` before it.
    private static func end(of response: HTTPResponse) -> Int64? {
        guard let text = response.headers["Range"] else { return nil }
        let ends = (text.split(separator: "=").last ?? "").split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends[0] == "0" else { return nil }
        return Int64(ends[1])
    }

    // MARK: The body

    /// Sends what the registry has not got, in the form that it takes, and gives it its name.
    func send(_ source: any ByteSource, _ digest: Digest, _ activity: Activity?) throws {
        let form = client.server.uploadForm
        if form == .whole, offset == 0 { return try sendWhole(source, digest, activity) }
        while offset < size { try patch(source, offset..<end(of: form), activity) }
        try close(digest)
    }

    /// Where the body ends that begins at `offset`.
    func end(of form: UploadForm) -> Int64 {
        let start = offset
        guard let length = form.longestBody else { return size }
        return min(size, start + max(length, shortestChunk))
    }

    private func patch(_ source: any ByteSource, _ range: Range<Int64>, _ activity: Activity?) throws {
        if case .stream = source.backing {
            let upload = try stream(range, activity)
            var sink = StreamSink(upload: upload)
            try source.read(range, into: &sink)
            try sent(try upload.finish(), range)
        } else {
            var request = request(range)
            request.body = .source(source, range, activity)
            let response = try client.server.send(request, for: purpose)
            guard response.isSuccess else { throw refusal(response, .patch, Int64(range.count)) }
            try sent(response, range)
        }
    }

    /// Begins to send bytes that are still being made.
    func stream(_ range: Range<Int64>, _ activity: Activity?) throws -> StreamingUpload {
        var request = request(range)
        try client.server.authorizeAhead(&request, for: purpose)
        let transport = try client.server.session.transport(for: request.url)
        return transport.upload(request, size: Int64(range.count), activity: activity) { [self] in
            client.server.heed($0)
            return refusal($0, .patch, Int64(range.count), isStreamed: true)
        }
    }

    private func request(_ range: Range<Int64>) -> HTTPRequest {
        var request = HTTPRequest(.patch, location, headers: ["Content-Type": "application/octet-stream"])
        if range != 0..<size { request.headers["Content-Range"] = "\(range.lowerBound)-\(range.upperBound - 1)" }
        return request
    }

    /// Takes note of the answer to a body.
    func sent(_ response: HTTPResponse, _ range: Range<Int64>) throws {
        guard let next = Self.location(response, request(range)) else { throw Self.noLocation(client) }
        state.withLock { $0.location = next }
        record?.note(next)
        if let text = response.headers["Range"], Self.end(of: response) != range.upperBound - 1 {
            throw KapsuleError(
                .unavailable, id: "http.cut",
                "\(client.host) has received bytes \(Excerpt.of(text, limit: 40)) of a blob of \(size), and should have "
                    + "\(range.upperBound)",
                remedy: "running the command again resumes")
        }
        state.withLock { $0.offset = range.upperBound }
    }

    private func sendWhole(_ source: any ByteSource, _ digest: Digest, _ activity: Activity?) throws {
        try close(digest) { request in
            request.body = .source(source, 0..<size, activity)
        }
    }

    // MARK: The end

    /// Gives the bytes their name.
    ///
    /// - Throws: `.unverified` when the registry found another digest; `.unavailable` when that may be because it did
    ///   not put together well what it got in several requests.
    func close(_ digest: Digest, _ fill: (inout HTTPRequest) -> Void = { _ in }) throws {
        var request = HTTPRequest(.put, location.adding("digest", digest.description))
        request.headers["Content-Type"] = "application/octet-stream"
        request.stallTimeout = client.server.session.options.transport.stallTimeout * Self.closingPatience
        fill(&request)
        do {
            let response = try client.server.send(request, for: purpose)
            guard response.isSuccess else { throw refusal(response, .put, request.body.length) }
            try client.check(response, names: digest, "the blob \(digest)")
        } catch let error as KapsuleError where error.isTransientHTTP {
            // It may have been done, and only the answer was lost.
            guard (try? client.hasBlob(Artifact(digest: digest, size: size))) == true else { throw error }
        }
        state.withLock { $0.isClosed = true }
        record?.remove()
    }

    /// Ends the session at the registry, which would keep the bytes it has got. Its answer does not matter.
    func cancel() {
        record?.remove()
        guard !state.withLock(\.isClosed) else { return }
        var request = HTTPRequest(.delete, location)
        request.stallTimeout = Self.cancellingTimeout
        // On a thread without a task: ours may be cancelled, which ends every request of it.
        _ = try? concurrently({ [self, request] in try client.server.send(request, for: purpose) }, {})
    }

    /// Whether another process may go on where this one stops.
    var canGoOn: Bool { record != nil && !state.withLock(\.isRefused) }

    private func refusal(
        _ response: HTTPResponse, _ method: HTTPMethod, _ length: Int64, isStreamed: Bool = false
    ) -> KapsuleError {
        if !RetryPolicy.isTransient(status: response.status), response.status != 401 {
            state.withLock { $0.isRefused = true }
        }
        let codes = RegistryFailure.codes(response)
        if codes.contains("DIGEST_INVALID") || (codes.contains("SIZE_INVALID") && response.status != 413) {
            // What was begun by another request, or another process, may be something else than was thought.
            if state.withLock(\.isPatchedTogether) {
                return RegistryFailure.unavailable(response, client.host, "to \(purpose.doing)")
            }
            return KapsuleError(
                .unverified, id: "registry.digest",
                "\(client.host) received something else than was promised: \(RegistryFailure.reason(response))",
                remedy: "build it again; if it happens again, something between here and the registry changes it")
        }
        if let form = client.server.uploadForm.next(after: response, to: method, length: length) {
            client.server.learn(form)
            return RegistryFailure.unavailable(response, client.host, "to \(purpose.doing)")
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
