internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// A file of LFS, read in ranges, over several connections where it is long. Whoever reads all of it checks it against
/// `digest`.
final class LFSFile: ByteSource, RangeOrigin {
    private let path: BundlePath
    private let pointer: LFSPointer
    private let client: LFSClient
    /// Where it is, until that is out of date or an attempt fails. It may be signed: for requests alone.
    private let action: Mutex<LFSAction?>

    init(_ pointer: LFSPointer, path: BundlePath, client: LFSClient, action: LFSAction?) {
        self.path = path
        self.pointer = pointer
        self.client = client
        self.action = Mutex(action)
    }

    var size: Int64 { pointer.size }
    var digest: Digest? { pointer.digest }
    var backing: ByteBacking { .stream }
    var place: BytePlace { .elsewhere }
    var name: String { "\(path) of \(client.name)" }
    var retry: RetryPolicy { client.retry }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try read(range, RangeOptions(), into: &sink)
    }

    func distrust() { action.withLock { $0 = nil } }

    // MARK: RangeOrigin

    func get(
        _ range: Range<Int64>, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        let action = try current()
        var request = HTTPRequest(.get, action.url)
        if action.needsLogin { request.headers["Authorization"] = client.authorization(for: action.url) }
        for header in action.headers { request.headers[header.name] = header.value }
        request.headers["Accept-Encoding"] = "identity"
        request.headers["Range"] = ByteRange.header(range)
        return try client.transport.fetch(request, accepting: accepting, deliver: deliver)
    }

    private func current() throws -> LFSAction {
        if let action = action.withLock({ $0 }), !action.isExpired { return action }
        let action = try client.locate(path, pointer)
        self.action.withLock { $0 = action }
        return action
    }

    /// An address that was good a moment ago may have expired: every refusal is worth asking for a new one.
    func refusal(_ response: HTTPResponse) -> KapsuleError {
        KapsuleError(
            response.status == 401 || response.status == 403 ? .unauthorized : .unavailable, id: "http.status",
            "cannot fetch \(name): \(response.url.authority) answers with \(response.status)",
            remedy: "run the command again, which resumes; if it happens again, the LFS storage does not have the file")
    }

    func attemptFailed(_ error: any Error) { distrust() }
}
