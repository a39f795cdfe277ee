internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// A registry: how it is reached, what it asks of us, and requests that answer that.
final class RegistryHost: Sendable {
    /// What is learned from the first answer.
    private struct Knowledge {
        var base: WebAddress
        /// What `/v2/` asked for.
        var challenges: [Challenge]
    }

    /// What a request is for.
    struct Purpose: Sendable {
        let repository: String
        /// Completes "may not" and "cannot": `push acme/m`.
        let doing: String
        var scopes: [Scope]
    }

    /// As people write it.
    let name: String
    let session: RegistrySession
    private let authority: String
    private let knowledge = Mutex<Knowledge?>(nil)
    private let gate = HostGate()

    init(_ name: RegistryName, _ session: RegistrySession) {
        self.name = name.host
        self.session = session
        authority = name.authority
    }

    var retry: RetryPolicy { session.options.retry }

    /// In what requests it takes blobs, as far as is known.
    var uploadForm: UploadForm { session.notes.form(for: authority) }
    func learn(_ form: UploadForm) { session.notes.learn(form, of: authority) }

    /// Whoever is told to wait waits for all.
    func heed(_ response: HTTPResponse) {
        if let pause = retry.pause(for: response) { gate.close(for: pause) }
    }

    // MARK: First contact

    /// The address of the API, ending in `/v2/`. Asks the registry once.
    func base() throws -> WebAddress { try contact().base }

    private func contact() throws -> Knowledge {
        if let known = knowledge.withLock({ $0 }) { return known }
        let (url, response) = try ping()
        let found = Knowledge(base: url, challenges: Challenge.all(in: response.headers))
        knowledge.withLock { $0 = found }
        return found
    }

    /// Asks `/v2/`, without credentials.
    func ping() throws -> (url: WebAddress, response: HTTPResponse) {
        guard var url = WebAddress(parsing: "https://\(authority)/v2/") else {
            throw KapsuleError(
                .usage, id: "registry.host", "'\(name)' is not a host", remedy: "write HOST or HOST:PORT")
        }
        let mayBePlain = url.isLoopback || session.options.plainHTTP
        if mayBePlain { url = url.replacingScheme(.http) }
        let response = try send(url)
        guard mayBePlain, url.isLoopback, response.status == 400, Self.wantsHTTPS(response) else {
            return (url, response)
        }
        url = WebAddress(.https, host: url.host, port: url.port == 80 ? 443 : url.port, target: url.target)
        return (url, try send(url))
    }

    private func send(_ url: WebAddress) throws -> HTTPResponse {
        try retry.run { attempt in
            let response = try session.transport(for: url).send(HTTPRequest(.get, url))
            if RetryPolicy.isTransient(status: response.status) {
                attempt.heard(response)
                throw RegistryFailure.unavailable(response, name, "to answer")
            }
            return response
        }
    }

    /// What Go's and nginx's servers say when they are spoken to in plain HTTP on a TLS port.
    private static func wantsHTTPS(_ response: HTTPResponse) -> Bool {
        let text = response.excerpt(limit: 1000)
        return text.contains("HTTP request to an HTTPS server")
            || text.contains("plain HTTP request was sent to HTTPS port")
    }

    // MARK: Requests

    /// Sends a request with what authorises it, and again when the registry wants another token. Any other status is
    /// an answer.
    func send(_ request: HTTPRequest, for purpose: Purpose, limit: Int = 1 << 20) throws -> HTTPResponse {
        try authorized(request, for: purpose) { try session.transport(for: $0.url).send($0, limit: limit) }
    }

    /// The same, with the body of the answer handed on block by block.
    func fetch(
        _ request: HTTPRequest, for purpose: Purpose, accepting: (HTTPResponse) throws -> Bool,
        deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        try authorized(request, for: purpose) {
            try session.transport(for: $0.url).fetch($0, accepting: accepting, deliver: deliver)
        }
    }

    private func authorized(
        _ request: HTTPRequest, for purpose: Purpose, _ exchange: (HTTPRequest) throws -> HTTPResponse
    ) throws -> HTTPResponse {
        var request = request
        var purpose = purpose
        var token = try authorize(&request, for: purpose, try contact().challenges, refused: nil)
        // Twice at most: a token that has expired, then one that turns out to be for less than was asked.
        for _ in 0..<2 {
            let response = try passing(request, exchange)
            let challenges = Challenge.all(in: response.headers)
            guard response.status == 401, isOurs(response.url), !challenges.isEmpty else { return response }
            let before = purpose.scopes
            purpose.scopes = Scope.merged(before + challenges.flatMap(\.scopes))
            let next = try authorize(&request, for: purpose, challenges, refused: token)
            guard next != token else { return response }
            token = next
        }
        return try passing(request, exchange)
    }

    private func passing(
        _ request: HTTPRequest, _ exchange: (HTTPRequest) throws -> HTTPResponse
    ) throws -> HTTPResponse {
        try gate.pass(retry.sleep)
        // A request that is sent again, with another token, sends its body from the start.
        if case .source(_, let range, let activity?) = request.body { activity.restart(at: range.lowerBound) }
        let response = try exchange(request)
        heed(response)
        session.showWarnings(of: response, from: name)
        return response
    }

    /// Credentials are for the registry's own origin, wherever an answer sends us.
    func isOurs(_ url: WebAddress) -> Bool {
        knowledge.withLock { $0?.base.hasSameOrigin(as: url) ?? false }
    }

    /// Puts an `Authorization` on `request` that answers one of `challenges`.
    ///
    /// - Parameter refused: what was sent before and did not do.
    /// - Returns: what was put on it; nil for nothing.
    @discardableResult
    func authorize(
        _ request: inout HTTPRequest, for purpose: Purpose, _ challenges: [Challenge], refused: String?
    ) throws -> String? {
        guard isOurs(request.url) else { return nil }
        let credential = try session.credential(for: name, repository: purpose.repository)
        var value: String?
        if let challenge = challenges.first(where: \.isBearer) {
            value = "Bearer " + (try token(challenge, purpose, credential, refused: refused)).value
        } else if challenges.contains(where: \.isBasic) {
            value = credential?.basic
        }
        request.headers["Authorization"] = value
        return value
    }

    /// Puts on `request` what is known to be wanted. For a request whose body cannot be sent twice.
    func authorizeAhead(_ request: inout HTTPRequest, for purpose: Purpose) throws {
        try authorize(&request, for: purpose, try contact().challenges, refused: nil)
        try gate.pass(retry.sleep)
    }

    private func token(
        _ challenge: Challenge, _ purpose: Purpose, _ credential: Credential?, refused: String?
    ) throws -> Token {
        let realm = try realm(of: challenge)
        let key = TokenCache.Key(
            realm: realm.text, service: challenge.service, scopes: Scope.merged(purpose.scopes),
            account: credential?.account)
        let refusedToken = refused.flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil }
        return try session.tokens.token(key, refused: refusedToken) {
            try TokenExchange(
                registry: name, realm: realm, key: key, credential: credential,
                transport: session.transport(for: realm), retry: retry
            ).token()
        }
    }

    private func realm(of challenge: Challenge) throws -> WebAddress {
        guard let realm = WebAddress(parsing: challenge.realm) else {
            throw KapsuleError(
                .unavailable, id: "registry.realm", "\(name) names no usable address to log in at",
                remedy: "this is for the registry's operator to mend")
        }
        let isOwn = session.options.plainHTTP && WebAddress(parsing: "http://\(authority)/")?.host == realm.host
        guard realm.scheme == .https || realm.isLoopback || isOwn else {
            throw KapsuleError(
                .unauthorized, id: "registry.realm", "\(name) wants a login sent unprotected to \(realm)",
                remedy: "ask the registry's operator for a realm with https")
        }
        return realm
    }

    func isLoggedIn(_ purpose: Purpose) -> Bool {
        (try? session.credential(for: name, repository: purpose.repository)) != nil
    }

    /// What an answer means that nobody expected.
    func refusal(_ response: HTTPResponse, of purpose: Purpose) -> KapsuleError {
        RegistryFailure.refused(response, name, purpose.doing, isLoggedIn: isLoggedIn(purpose))
    }
}
