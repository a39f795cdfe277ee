public import KapsuleCore

/// What can go wrong below HTTP, and what a person is told of it.
enum HTTPFailure {
    case nameLookup(HTTPRequest, String)
    case connection(HTTPRequest, String)
    case tlsTrust(HTTPRequest, String)
    case tls(HTTPRequest, String)
    case clientCertificate(HTTPRequest, String)
    case proxyLookup(HTTPRequest, String)
    /// What the proxy said to being asked for a way to the server.
    case proxy(HTTPRequest, status: Int)
    case cut(HTTPRequest, String)
    case stalled(HTTPRequest, Int64, Duration)
    case notHTTP(HTTPRequest, String)
    case badFile(HTTPRequest, String)
    case badRedirect(HTTPRequest, String)
    case tooManyRedirects(HTTPRequest)
    case tooLarge(HTTPRequest, limit: Int)

    static let resumes = "check the network; running the command again resumes"

    var error: KapsuleError {
        switch self {
        case .nameLookup(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.name-lookup",
                "cannot reach \(request.url.authority): the name \(request.url.host) is not known (\(reason))",
                remedy: "check the host for a typing mistake, and the network")
        case .connection(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.connect", "cannot connect to \(request.url.authority): \(reason)",
                remedy: "check that it is running and can be reached from here; running the command again resumes")
        case .tlsTrust(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.tls-trust",
                "cannot trust \(request.url.authority): \(reason)",
                remedy: "name the authority that signed its certificate with SSL_CERT_FILE, or put it into "
                    + "/etc/docker/certs.d/\(request.url.authority)/ca.crt")
        case .tls(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.tls", "cannot speak TLS with \(request.url.authority): \(reason)",
                remedy: request.url.isLoopback
                    ? "check that it speaks HTTPS on this port"
                    : "check that it speaks HTTPS on this port; use --plain-http if it is meant to speak HTTP only")
        case .clientCertificate(let request, let reason):
            KapsuleError(
                .unauthorized, id: "http.client-certificate",
                "\(request.url.authority) wants to see a client certificate that it knows: \(reason)",
                remedy: "put client.cert and client.key into /etc/docker/certs.d/\(request.url.authority)/")
        case .proxyLookup(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.proxy",
                "cannot reach \(request.url.authority): the name of the proxy is not known (\(reason))",
                remedy: "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or except the host with NO_PROXY")
        case .proxy(let request, let status): Self.refusedByProxy(request, status)
        case .cut(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.cut", "\(request.summary) was cut off: \(reason)", remedy: Self.resumes)
        case .stalled(let request, let count, let time):
            KapsuleError(
                .unavailable, id: "http.stalled",
                "\(request.summary) stalled: \(count == 0 ? "not a byte" : "no more than \(count) bytes") moved for \(time)",
                remedy: Self.resumes)
        case .notHTTP(let request, let reason):
            KapsuleError(
                .unavailable, id: "http.protocol", "\(request.url.authority) does not answer in HTTP: \(reason)",
                remedy: "check host and port")
        case .badFile(let request, let reason):
            KapsuleError(
                .usage, id: "http.tls-file", "cannot prepare TLS for \(request.url.authority): \(reason)",
                remedy: "check the files named by SSL_CERT_FILE and in the certs.d directory of this host")
        case .badRedirect(let request, let how):
            KapsuleError(
                .unavailable, id: "http.redirect", "\(request.url.authority) redirects \(how)",
                remedy: "this is for the server's operator to mend")
        case .tooManyRedirects(let request):
            KapsuleError(
                .unavailable, id: "http.redirect",
                "\(request.summary) was redirected more than \(Redirects.limit) times",
                remedy: "this is for the server's operator to mend")
        case .tooLarge(let request, let limit):
            KapsuleError(
                .unverified, id: "http.too-large",
                "the answer to \(request.summary) is longer than the \(limit) bytes that it may have",
                remedy: "check that the address names what you mean")
        }
    }

    private static func refusedByProxy(_ request: HTTPRequest, _ status: Int) -> KapsuleError {
        let remedy =
            status == 407
            ? "name a user that it knows: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
            : "ask its operator to let the host through, or go round it with NO_PROXY=\(request.url.host)"
        // A gateway that cannot reach the server now may a moment later.
        return RetryPolicy.isTransient(status: status)
            ? KapsuleError(
                .unavailable, id: "http.connect",
                "the proxy cannot connect to \(request.url.authority) (\(status))", remedy: resumes)
            : KapsuleError(
                .unauthorized, id: "http.proxy",
                "the proxy does not let us connect to \(request.url.authority) (\(status))", remedy: remedy)
    }
}

extension HTTPRequest {
    /// For messages: no query.
    var summary: String { "\(method.rawValue) \(url)" }
}

extension KapsuleError {
    /// Whether the same request may well succeed a moment later: connections cut, refused or
    /// stalled, and answers that are not what was asked for.
    public var isTransientHTTP: Bool {
        [
            "http.name-lookup", "http.connect", "http.cut", "http.stalled", "http.status", "http.range", "http.size",
        ].contains(id)
    }
}
