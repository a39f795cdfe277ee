internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// A file of large storage, whose SHA-256 the listing gives: read in ranges, over several connections where it is long.
///
/// Whoever reads all of it checks it against `digest`. A second reading comes from the hub, even where the cache had it.
final class LargeFile: ByteSource, RangeOrigin {
    private struct State {
        /// Where storage serves it, until an attempt fails. Signed: for requests alone.
        var storage: WebAddress?
        var hasReadCache = false
    }

    private let entry: HubEntry
    private let reader: HubReader
    private let cached: CachedBlob?
    private let state = Mutex(State())
    let digest: Digest?

    init(_ entry: HubEntry, digest: Digest, reader: HubReader, cached: CachedBlob?) {
        self.entry = entry
        self.digest = digest
        self.reader = reader
        self.cached = cached
    }

    var size: Int64 { entry.size }
    var backing: ByteBacking { .stream }
    var place: BytePlace { cached == nil ? .elsewhere : .cache }
    var name: String { reader.name(of: entry) }
    var retry: RetryPolicy { reader.client.settings.retry }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        if let cached, try readCache(cached, range, &sink) { return }
        // Never the address that served what turned out to be wrong.
        if range == 0..<size { state.withLock { $0.storage = nil } }
        try read(range, RangeOptions(), into: &sink)
    }

    /// False where the cache was read before and is not to be trusted a second time. Offline there is nothing else.
    private func readCache(
        _ cached: CachedBlob, _ range: Range<Int64>, _ sink: inout some ByteSink & ~Copyable
    ) throws -> Bool {
        let isFirst = state.withLock { state in
            defer { if range == 0..<size { state.hasReadCache = true } }
            return !state.hasReadCache
        }
        guard isFirst || reader.client.settings.isOffline else { return false }
        try cached.read(range, into: &sink)
        return true
    }

    func distrust() { state.withLock { $0 = State(storage: nil, hasReadCache: true) } }

    // MARK: RangeOrigin

    func get(
        _ range: Range<Int64>, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        var request = reader.client.request(state.withLock { $0.storage } ?? reader.url(of: entry))
        request.headers["Range"] = ByteRange.header(range)
        return try reader.client.transport.fetch(
            request,
            redirected: { response, target in
                try reader.checkCommit(response, entry)
                let isStorage = !target.hasSameOrigin(as: reader.client.settings.endpoint)
                if isStorage { state.withLock { $0.storage = target } }
            },
            accepting: { response in
                try reader.checkCommit(response, entry)
                return try accepting(response)
            }, deliver: deliver)
    }

    func refusal(_ response: HTTPResponse) -> KapsuleError { reader.refusal(response, entry) }

    func attemptFailed(_ error: any Error) { state.withLock { $0.storage = nil } }
}
