internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore

/// Asks a realm for a token.
///
/// Source: Docker, "Token Authentication Specification" (GET) and "OAuth2 Token Authentication" (POST).
struct TokenExchange {
    private static let clientID = "kapsule"
    /// Renewed so long before it expires, in seconds.
    private static let margin: Int64 = 10
    /// Shortest life that is believed, in seconds.
    private static let shortestLife: Int64 = 60

    let registry: String
    let realm: WebAddress
    let key: TokenCache.Key
    let credential: Credential?
    let transport: HTTPTransport
    let retry: RetryPolicy

    func token() throws -> Token {
        let asked = ContinuousClock.now
        let response = try answer()
        guard response.isSuccess else { throw refusal(response) }
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(response.body)),
            let value = [wire.token, wire.accessToken].compactMap({ $0 }).first(where: { !$0.isEmpty })
        else {
            throw KapsuleError(
                .unavailable, id: "registry.token", "\(realm) answered \(registry)'s login without a token",
                remedy: "this is for the registry's operator to mend")
        }
        return Token(value: value, expiry: asked + .seconds(Self.life(wire) - Self.margin))
    }

    /// Seconds from now. A clock that disagrees with the server's must not make every token stale.
    private static func life(_ wire: Wire) -> Int64 {
        let life = max(shortestLife, wire.expiresIn ?? shortestLife)
        guard let text = wire.issuedAt, let issued = try? Date(text, strategy: .iso8601) else { return life }
        let age = Int64(Date().timeIntervalSince(issued))
        return age > 0 && age < life - margin ? life - age : life
    }

    private func answer() throws -> HTTPResponse {
        if case .identityToken(let token, _) = credential {
            let response = try send(post(refreshToken: token))
            if response.status != 404, response.status != 405 { return response }
        }
        return try send(get())
    }

    private func send(_ request: HTTPRequest) throws -> HTTPResponse {
        try retry.run { attempt in
            let response = try transport.send(request)
            if RetryPolicy.isTransient(status: response.status) {
                attempt.heard(response)
                throw RegistryFailure.unavailable(response, registry, "while logging in at \(realm)")
            }
            return response
        }
    }

    private func get() -> HTTPRequest {
        var url = realm
        if let service = key.service { url = url.adding("service", service) }
        for scope in key.scopes { url = url.adding("scope", scope.description) }
        if let account = key.account { url = url.adding("account", account) }
        var request = HTTPRequest(.get, url.adding("client_id", Self.clientID))
        if let credential {
            request.headers["Authorization"] = credential.basic
            request.redirects = .refuse
        }
        return request
    }

    private func post(refreshToken: String) -> HTTPRequest {
        let form = [
            ("grant_type", "refresh_token"), ("service", key.service ?? ""), ("client_id", Self.clientID),
            ("scope", key.scopes.map(\.description).joined(separator: " ")), ("refresh_token", refreshToken),
        ]
        let body = form.map { "\($0)=\(PercentEncoding.component($1))" }.joined(separator: "&")
        var request = HTTPRequest(.post, realm, body: .bytes(Array(body.utf8)))
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.redirects = .refuse
        return request
    }

    private func refusal(_ response: HTTPResponse) -> KapsuleError {
        switch response.status {
        case 400, 401, 403:
            RegistryFailure.unauthorized(response, registry, "log in", isLoggedIn: credential != nil)
        default:
            KapsuleError(
                .unavailable, id: "registry.token",
                "\(realm) does not give a token for \(registry): \(RegistryFailure.reason(response))",
                remedy: "try again later, or ask the registry's operator")
        }
    }

    private struct Wire: Decodable {
        let token: String?
        let accessToken: String?
        let expiresIn: Int64?
        let issuedAt: String?

        enum CodingKeys: String, CodingKey {
            case token
            case accessToken = "access_token"
            case expiresIn = "expires_in"
            case issuedAt = "issued_at"
        }
    }
}

extension Credential {
    /// The value of an `Authorization` header.
    var basic: String {
        let (user, secret) =
            switch self {
            case .password(let user, let password): (user, password)
            case .identityToken(let token, let user): (user ?? "<token>", token)
            }
        return "Basic " + Data("\(user):\(secret)".utf8).base64EncodedString()
    }

    /// Whose tokens these are.
    var account: String? {
        switch self {
        case .password(let user, _): user
        case .identityToken(_, let user): user
        }
    }
}
