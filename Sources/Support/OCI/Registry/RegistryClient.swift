internal import HTTP
internal import KapsuleCore

/// One repository of one registry: manifests, blobs, tags.
///
/// Synchronous: it blocks the calling thread, and any number of threads may use it. What fails for the network's sake
/// is tried again inside, so an error with `.unavailable` is final for this run.
///
/// Source: OCI distribution-spec 1.1.
public final class RegistryClient: Sendable {
    let server: RegistryHost
    public let repository: String
    let access: RegistryAccess

    init(host: RegistryHost, repository: String, access: RegistryAccess) {
        server = host
        self.repository = repository
        self.access = access
    }

    /// As people write it: `localhost:5000`, `docker.io`.
    public var host: String { server.name }

    /// `localhost:5000/acme/m`.
    public var name: String { "\(host)/\(repository)" }

    /// Whether there is a registry, and it takes our login.
    ///
    /// - Throws: `.unauthorized`, `.unavailable`.
    public func ping() throws {
        let purpose = RegistryHost.Purpose(repository: repository, doing: "be used", scopes: [])
        let response = try send(HTTPRequest(.get, try server.base()), purpose)
        switch response.status {
        case 200: return
        case 404:
            throw KapsuleError(
                .unavailable, id: "registry.not-a-registry", "\(host) is no registry: /v2/ is not known there (404)",
                remedy: "check host and port")
        default: throw server.refusal(response, of: purpose)
        }
    }

    // MARK: For the extensions

    func purpose(_ doing: String, also scopes: [Scope] = []) -> RegistryHost.Purpose {
        RegistryHost.Purpose(
            repository: repository, doing: doing, scopes: [Scope(repository: repository, access)] + scopes)
    }

    /// `/v2/acme/m/` and what follows, which needs no encoding.
    func url(_ rest: String) throws -> WebAddress {
        try server.base().replacingTarget("/v2/\(repository)/\(rest)")
    }

    /// Sends a request that may be sent again, and does so for as long as the policy allows.
    func send(
        _ request: HTTPRequest, _ purpose: RegistryHost.Purpose, limit: Int = 1 << 20
    ) throws -> HTTPResponse {
        try server.retry.run { attempt in
            let response = try server.send(request, for: purpose, limit: limit)
            if RetryPolicy.isTransient(status: response.status) {
                attempt.heard(response)
                throw server.refusal(response, of: purpose)
            }
            return response
        }
    }

    /// - Throws: `.unverified` where the answer names another digest than it should.
    func check(_ response: HTTPResponse, names digest: Digest, _ what: String) throws {
        // A registry may name the content by another algorithm; then there is nothing to compare.
        guard let text = response.headers["Docker-Content-Digest"], let named = Digest(parsing: text) else { return }
        guard named == digest else {
            throw KapsuleError(
                .unverified, id: "registry.digest", "\(host) says that \(what) is \(named), and it is \(digest)",
                remedy: "try again; if it happens again, something between here and the registry changes it")
        }
    }
}
