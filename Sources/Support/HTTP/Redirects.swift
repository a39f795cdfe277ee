/// How redirects are followed: by us, so that what authorises a request never leaves its origin.
///
/// Source: RFC 9110, section 15.4.
public enum Redirects: Sendable {
    /// GET and HEAD follow up to ten; other methods none.
    case follow
    case refuse

    /// Most that one request follows.
    static let limit = 10
    private static let statuses: Set<Int> = [301, 302, 303, 307, 308]
    /// What stays with the origin it was meant for.
    private static let confined = ["Authorization", "Proxy-Authorization", "Cookie"]

    /// The request that `response` sends us on to; nil when it is to be taken as the answer.
    ///
    /// `Range` and `Accept` are kept. An HTTPS address never leads to an HTTP one.
    func next(after request: HTTPRequest, _ response: HTTPResponse) throws -> HTTPRequest? {
        guard case .follow = self, Self.statuses.contains(response.status),
            request.method == .get || request.method == .head, let location = response.headers["Location"]
        else { return nil }
        guard let target = request.url.resolving(location) else {
            throw HTTPFailure.badRedirect(request, "to something that is not a web address").error
        }
        guard !(request.url.scheme == .https && target.scheme == .http) else {
            throw HTTPFailure.badRedirect(request, "from HTTPS to plain HTTP, at \(target.authority)").error
        }
        var next = request
        next.url = target
        if !target.hasSameOrigin(as: request.url) {
            // Object stores refuse a signed address that also carries an authorisation, and it is not meant for them.
            for name in Self.confined { next.headers.remove(name) }
            next.isAway = true
        }
        return next
    }
}
