public import KapsuleCore

/// Sends requests over libcurl and keeps the connections for the next ones.
///
/// Blocks the calling thread; any number of threads may use one transport. A cancelled task's request ends within a
/// fraction of a second with `.interrupted`. Nothing is tried twice here: see `RetryPolicy`.
public final class HTTPTransport: Sendable {
    public let settings: TransportSettings
    let pool = CurlPool()
    let log: HTTPLog

    public init(_ settings: TransportSettings = TransportSettings()) {
        self.settings = settings
        log = HTTPLog(settings.logger)
    }

    /// Sends a request whose answer is small. Any status is an answer.
    ///
    /// - Parameter limit: longest body of a success, in bytes.
    /// - Throws: `.unverified` for a longer one, `.unavailable` when no whole answer came.
    public func send(_ request: HTTPRequest, limit: Int = 1 << 20) throws -> HTTPResponse {
        try following(request) { try exchange($0, .memory(limit: limit)) }
    }

    /// Sends a request whose answer goes into `sink` as it comes, without a copy.
    ///
    /// - Parameter accepting: looks at status and headers before the first byte. Where it says no, nothing goes into
    ///   the sink, and the answer has the beginning of the body.
    /// - Throws: `.unavailable` when no whole answer came, and what `accepting` and `sink` throw.
    public func fetch(
        _ request: HTTPRequest, accepting: (HTTPResponse) throws -> Bool, into sink: inout some ByteSink & ~Copyable
    ) throws -> HTTPResponse {
        try fetch(request, accepting: accepting) { try sink.write($0) }
    }

    /// The same, block by block.
    public func fetch(
        _ request: HTTPRequest, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        try following(request) {
            try exchange($0, accepting: { try !$0.isRedirect && accepting($0) }, deliver: deliver)
        }
    }

    /// The same, for callers that look at redirects on the way.
    ///
    /// - Parameter redirected: hears of every answer that sends on, and where to; what it throws ends the request.
    public func fetch(
        _ request: HTTPRequest, redirected: (HTTPResponse, WebAddress) throws -> Void,
        accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        try following(request, redirected) {
            try exchange($0, accepting: { try !$0.isRedirect && accepting($0) }, deliver: deliver)
        }
    }

    private func following(
        _ request: HTTPRequest, _ redirected: (HTTPResponse, WebAddress) throws -> Void = { _, _ in },
        _ exchange: (HTTPRequest) throws -> HTTPResponse
    ) throws -> HTTPResponse {
        var hop = request
        for _ in 0...Redirects.limit {
            let response = try exchange(hop)
            guard let next = try request.redirects.next(after: hop, response) else { return response }
            try redirected(response, next.url)
            hop = next
        }
        throw HTTPFailure.tooManyRedirects(request).error
    }

    /// Starts a request whose body is pushed while it is made. Redirects are not followed.
    ///
    /// - Parameters:
    ///   - size: of the body, in bytes.
    ///   - refusal: what an answer that is no success means.
    public func upload(
        _ request: HTTPRequest, size: Int64, activity: Activity? = nil,
        refusal: @escaping @Sendable (HTTPResponse) -> KapsuleError
    ) -> StreamingUpload {
        StreamingUpload(self, request, size: size, activity: activity, refusal: refusal)
    }
}

extension HTTPResponse {
    fileprivate var isRedirect: Bool { (300..<400).contains(status) && headers["Location"] != nil }
}
