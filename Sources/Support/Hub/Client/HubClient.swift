internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// A hub: which files a model has, and their bytes.
///
/// Blocks the calling thread; any number of threads may use it. What fails for the network's sake is tried again inside.
public final class HubClient: Sendable {
    public let settings: HubSettings
    let transport: HTTPTransport

    public init(_ settings: HubSettings) {
        self.settings = settings
        transport = HTTPTransport(settings.transport)
    }

    /// One GET of the API, whose answer fits in memory.
    func document(_ url: WebAddress, for repository: String, _ doing: String) throws -> HTTPResponse {
        let failure = HubFailure(settings: settings, repository: repository)
        return try settings.retry.run { attempt in
            let response = try transport.send(request(url), limit: Self.longestDocument)
            guard response.isSuccess else {
                attempt.heard(response)
                throw failure.error(response, doing)
            }
            return response
        }
    }

    /// Longest answer of the API, in bytes. A page of a listing has a thousand rows; information names every file.
    private static let longestDocument = 64 << 20

    /// A GET that carries the token, which redirects to other origins will not.
    func request(_ url: WebAddress) -> HTTPRequest {
        var request = HTTPRequest(.get, url)
        // Otherwise small files come compressed, and no length can be compared.
        request.headers["Accept-Encoding"] = "identity"
        if let token = settings.token, url.hasSameOrigin(as: settings.endpoint) {
            request.headers["Authorization"] = "Bearer \(token.value)"
        }
        return request
    }
}
