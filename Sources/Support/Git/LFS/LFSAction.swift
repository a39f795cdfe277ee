internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore

/// Where an object is, for a while.
struct LFSAction: Sendable {
    struct Wire: Decodable {
        let href: String
        let header: [String: String]?
        let expires_in: Int64?
        let expires_at: String?
    }

    /// What a server may not decide for us.
    private static let ours: Set<String> = [
        "host", "range", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect",
    ]
    /// Addresses are not used in the last seconds of their life.
    private static let margin: Int64 = 10

    let url: WebAddress
    let headers: [(name: String, value: String)]
    /// Whether the server wants a login there, too, and has given none.
    let needsLogin: Bool
    private let expires: ContinuousClock.Instant?

    /// - Parameter isAuthenticated: whether the server says that the address is enough.
    /// - Throws: `.unavailable` for an address that is not to be used.
    init(_ wire: Wire, isAuthenticated: Bool, of endpoint: WebAddress) throws {
        guard let url = WebAddress(parsing: wire.href), url.scheme == .https || endpoint.scheme == .http else {
            throw KapsuleError(
                .unavailable, id: "lfs.answer",
                "the LFS server \(endpoint) sends us to an address that is not to be used",
                remedy: "this is for the server's operator to mend: objects of an https server have https addresses")
        }
        self.url = url
        headers = (wire.header ?? [:]).sorted { $0.key < $1.key }.filter { !Self.ours.contains($0.key.lowercased()) }
            .map { ($0.key, $0.value) }
        needsLogin = !isAuthenticated && !headers.contains { $0.name.lowercased() == "authorization" }
        expires = Self.lifetime(wire).map { .now + .seconds($0) }
    }

    /// Seconds; `expires_in` counts where both are given. Zero means that it does not expire.
    private static func lifetime(_ wire: Wire) -> Int64? {
        if let seconds = wire.expires_in, seconds != 0 { return max(0, min(seconds, 1 << 30) - margin) }
        guard let text = wire.expires_at, let date = try? Date(text, strategy: .iso8601) else { return nil }
        let left = date.timeIntervalSinceNow
        // The beginning of time stands for never in servers written in Go.
        guard date.timeIntervalSince1970 > 0, left.magnitude < 1e9 else { return nil }
        return max(0, Int64(left) - margin)
    }

    var isExpired: Bool { expires.map { $0 <= .now } ?? false }
}
