internal import CCurl
internal import KapsuleCore

/// One request on its way: what libcurl's callbacks work on.
///
/// Nothing may be thrown through libcurl. A callback that fails keeps its error here and returns a short count; the
/// error is thrown by `conclude`, when libcurl has returned.
@safe
final class CurlTransfer {
    /// Where the body of an answer goes.
    enum Reception {
        /// Into memory, up to so many bytes.
        case memory(limit: Int)
        /// On, block by block, when the head is accepted; a refusal's body is kept in memory.
        case sink(accepts: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void)
    }

    /// Most header fields of one answer.
    private static let fieldLimit = 1000

    let request: HTTPRequest
    let feed: any BodyFeed
    /// Bytes moved in both directions.
    var moved: Int64 = 0
    private(set) var isPaused = false
    private let reception: Reception
    private var status = 0
    private var headers = HTTPHeaders()
    private var trailers = HTTPHeaders()
    private var hasHead = false
    private var isAccepted = false
    private var isCutOnPurpose = false
    private var body: [UInt8] = []
    private var failure: (any Error)?

    init(_ request: HTTPRequest, _ reception: Reception, feed: any BodyFeed) {
        self.request = request
        self.reception = reception
        self.feed = feed
    }

    static func of(_ context: UnsafeMutableRawPointer?) -> CurlTransfer {
        unsafe Unmanaged<CurlTransfer>.fromOpaque(context!).takeUnretainedValue()
    }

    var response: HTTPResponse {
        HTTPResponse(status: status, headers: headers, url: request.url, body: body, trailers: trailers)
    }

    func headerLines(_ settings: TransportSettings) -> [String] {
        // `Expect: 100-continue` costs a round trip, and a second of waiting where a server does not know it.
        request.headers.fields.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" } + ["Expect:"]
    }

    // MARK: Called by libcurl

    func receiveHeader(_ bytes: UnsafeBufferPointer<CChar>) -> Int {
        let line = unsafe String(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self).trimmed
        if hasHead {
            Self.add(line, to: &trailers)
        } else if line.hasPrefix("HTTP/") {
            headers = HTTPHeaders()
            status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if line.isEmpty {
            return status >= 200 ? attempt(bytes.count) { try takeHead() } : bytes.count
        } else {
            Self.add(line, to: &headers)
        }
        return bytes.count
    }

    private static func add(_ line: String, to headers: inout HTTPHeaders) {
        guard let colon = line.firstIndex(of: ":"), headers.fields.count < fieldLimit else { return }
        headers.add(String(line[..<colon]), String(line[line.index(after: colon)...]))
    }

    private func takeHead() throws {
        hasHead = true
        switch reception {
        case .memory(let limit):
            isAccepted = response.isSuccess
            if isAccepted, request.method != .head, let length = response.contentLength, length > limit {
                throw HTTPFailure.tooLarge(request, limit: limit).error
            }
        case .sink(let accepts, _): isAccepted = try accepts(response)
        }
    }

    func receiveBody(_ bytes: UnsafeBufferPointer<CChar>) -> Int {
        unsafe bytes.withMemoryRebound(to: UInt8.self) { bytes in
            attempt(bytes.count) { try unsafe take(bytes) }
        }
    }

    private func take(_ bytes: UnsafeBufferPointer<UInt8>) throws {
        switch reception {
        case .sink(_, let deliver) where isAccepted: try deliver(unsafe bytes.span)
        case .memory(let limit) where isAccepted:
            guard body.count + bytes.count <= limit else { throw HTTPFailure.tooLarge(request, limit: limit).error }
            unsafe body.append(contentsOf: bytes)
        case .memory, .sink:
            unsafe body.append(contentsOf: bytes.prefix(HTTPResponse.refusalLimit - body.count))
            if body.count == HTTPResponse.refusalLimit {
                isCutOnPurpose = true
                throw CancellationError()
            }
        }
    }

    func sendBody(_ bytes: UnsafeMutableBufferPointer<CChar>) -> Int {
        unsafe bytes.withMemoryRebound(to: UInt8.self) { bytes in
            do {
                if let count = try unsafe feed.next(into: bytes) { return count }
                isPaused = true
                return Int(CURL_READFUNC_PAUSE)
            } catch {
                failure = error
                return Int(CURL_READFUNC_ABORT)
            }
        }
    }

    /// `count` when `body` succeeds, else a count that ends the transfer.
    private func attempt(_ count: Int, _ body: () throws -> Void) -> Int {
        do {
            try body()
            return count
        } catch {
            if !isCutOnPurpose { failure = error }
            return count == 0 ? 1 : 0
        }
    }

    // MARK: Called by the loop

    /// - Throws: `.interrupted` when nobody wants the answer any more.
    func checkWanted() throws {
        if StopSignal.isUnwanted || feed.isAbandoned {
            throw KapsuleError(.interrupted, id: "interrupted", "interrupted")
        }
    }

    /// Whether a paused body can go on now.
    func resume() -> Bool {
        guard isPaused, feed.isReady else { return false }
        isPaused = false
        return true
    }

    /// Turns libcurl's result into nothing, or an error.
    ///
    /// - Parameter proxyStatus: what a proxy answered that was asked for a way to the server; 0 where none was.
    func conclude(_ code: CURLcode, _ text: String, proxyStatus: Int) throws {
        if let failure { throw failure }
        if hasHead, code == CURLE_OK || isCutOnPurpose { return }
        // libcurl takes the end of the connection for the end of the head.
        if code == CURLE_OK { throw HTTPFailure.cut(request, "the answer ended within its head").error }
        if proxyStatus >= 300 { throw HTTPFailure.proxy(request, status: proxyStatus).error }
        let reason = text.isEmpty ? unsafe String(cString: curl_easy_strerror(code)) : text
        throw CurlResult.failure(code, request, Excerpt.of(reason, limit: 200)).error
    }
}

enum CurlResult {
    /// What a result code means to a person.
    static func failure(_ code: CURLcode, _ request: HTTPRequest, _ reason: String) -> HTTPFailure {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: .nameLookup(request, reason)
        case CURLE_COULDNT_RESOLVE_PROXY: .proxyLookup(request, reason)
        // With TLS 1.3 the server looks at our certificate when the handshake is over for us.
        case _ where isAboutOurCertificate(reason): .clientCertificate(request, reason)
        case CURLE_SSL_CONNECT_ERROR where isCut(reason): .cut(request, reason)
        case CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT, CURLE_PROXY: .connection(request, reason)
        case CURLE_PEER_FAILED_VERIFICATION: .tlsTrust(request, reason)
        case CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM: .badFile(request, reason)
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_ENGINE_INITFAILED: .tls(request, reason)
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_URL_MALFORMAT: .notHTTP(request, reason)
        default: .cut(request, reason)
        }
    }

    /// Alerts about a certificate come from the server, and can mean no other than ours.
    ///
    /// Source: RFC 8446, section 6.2, in OpenSSL's words.
    private static func isAboutOurCertificate(_ reason: String) -> Bool {
        [
            "alert certificate required", "alert bad certificate", "alert unknown ca", "alert certificate unknown",
            "alert certificate expired", "alert certificate revoked", "alert unsupported certificate",
        ].contains { reason.contains($0) }
    }

    /// A connection that ended in the middle of the handshake may stand the next time.
    private static func isCut(_ reason: String) -> Bool {
        ["Connection reset", "SSL_ERROR_SYSCALL", "unexpected eof", "Broken pipe"].contains { reason.contains($0) }
    }
}
