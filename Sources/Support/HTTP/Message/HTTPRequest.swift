public import KapsuleCore

public enum HTTPMethod: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
}

public enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// A range of a source that can be read at any offset without cost, such as a file. The activity, if any, hears of
    /// every block that was handed to the network.
    case source(any ByteSource, Range<Int64>, Activity? = nil)

    /// In bytes.
    public var length: Int64 {
        switch self {
        case .none: 0
        case .bytes(let bytes): Int64(bytes.count)
        case .source(_, let range, _): range.upperBound - range.lowerBound
        }
    }
}

public struct HTTPRequest: Sendable {
    public var method: HTTPMethod
    public var url: WebAddress
    public var headers: HTTPHeaders
    public var body: HTTPBody
    public var redirects = Redirects.follow
    /// Whether only HTTP/2 will do, as for gRPC; without TLS it is spoken unasked.
    public var needsHTTP2 = false
    /// Whether a redirect has led away from where it was meant for: nothing that proves who we are goes along.
    var isAway = false
    /// How long nothing may move; nil for the transport's own limit. For requests whose answer is long in
    /// the making, such as the one that closes an upload.
    public var stallTimeout: Duration?

    public init(
        _ method: HTTPMethod, _ url: WebAddress, headers: HTTPHeaders = HTTPHeaders(), body: HTTPBody = .none
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}
