internal import KapsuleCore

extension HTTPTransport {
    /// One request and its answer, without redirects.
    func exchange(_ request: HTTPRequest, _ reception: CurlTransfer.Reception) throws -> HTTPResponse {
        try exchange(request, CurlTransfer(request, reception, feed: SourceFeed(request.body)), ring: nil)
    }

    func exchange(
        _ request: HTTPRequest, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        // They are called while libcurl runs, and that is inside these closures.
        try withoutActuallyEscaping(accepting) { accepting in
            try withoutActuallyEscaping(deliver) { deliver in
                try exchange(request, .sink(accepts: accepting, deliver: deliver))
            }
        }
    }

    /// The same with a body that another thread makes.
    func exchange(_ request: HTTPRequest, from ring: UploadRing) throws -> HTTPResponse {
        let transfer = CurlTransfer(request, .memory(limit: HTTPResponse.refusalLimit), feed: ring)
        return try exchange(request, transfer, ring: ring)
    }

    private func exchange(_ request: HTTPRequest, _ transfer: CurlTransfer, ring: UploadRing?) throws -> HTTPResponse {
        let start = ContinuousClock.now
        log.sending(request)
        let handle = pool.take(for: request.url)
        defer { pool.give(handle) }
        ring?.attach(handle)
        do {
            try withExtendedLifetime(transfer) { try handle.run(transfer, settings) }
        } catch {
            log.failed(request, error, after: start)
            // The connection is out of step: an answer before was longer than it said. Another one will do.
            if handle.hasAnswered, (error as? KapsuleError)?.id == "http.protocol" {
                throw HTTPFailure.cut(request, "it was answered with the rest of another answer").error
            }
            throw error
        }
        handle.hasAnswered = true
        log.received(transfer.response, to: request, after: start)
        return transfer.response
    }
}
