internal import CCurl
internal import KapsuleCore
internal import Synchronization

/// One libcurl easy handle with a multi handle of its own, which keeps its connections between requests.
///
/// The multi interface, because its loop is ours: it looks for cancellation and stalls several times a second, and a
/// body that is still being made can pause it.
// Used by one thread at a time: whoever took it from the pool. `wake` may be called by any thread, as libcurl says.
@safe
final class CurlHandle: @unchecked Sendable {
    private static let globalInit: Bool = kapsule_curl_global_init() == CURLE_OK
    /// How often the loop looks around while nothing moves.
    private static let pollMilliseconds: Int32 = 200

    let easy: UnsafeMutableRawPointer
    private let multi: UnsafeMutableRawPointer
    /// Where it was last connected to.
    var origin: String? { didSet { if origin != oldValue { hasAnswered = false } } }
    /// Whether that origin has answered in HTTP before.
    var hasAnswered = false

    init() {
        guard Self.globalInit, let easy = unsafe curl_easy_init(), let multi = unsafe curl_multi_init() else {
            fatalError("libcurl has no memory for a request")
        }
        unsafe self.easy = easy
        unsafe self.multi = multi
    }

    deinit {
        unsafe curl_easy_cleanup(easy)
        unsafe curl_multi_cleanup(multi)
    }

    /// Ends the loop's current wait.
    func wake() { _ = unsafe curl_multi_wakeup(multi) }

    /// Runs one transfer to its end.
    ///
    /// - Throws: what the transfer's own callbacks failed with, `.interrupted`, or `.unavailable` for what the network
    ///   did.
    func run(_ transfer: CurlTransfer, _ settings: TransportSettings) throws {
        let headers = CurlList(transfer.headerLines(settings))
        let errorText = CurlErrorText()
        unsafe curl_easy_reset(easy)
        defer { unsafe curl_easy_reset(easy) }
        try CurlOptions(handle: self, transfer: transfer).apply(settings, headers, errorText)
        guard unsafe curl_multi_add_handle(multi, easy) == CURLM_OK else {
            throw KapsuleError(.defect, id: "http.curl", "libcurl refuses a request")
        }
        defer { unsafe curl_multi_remove_handle(multi, easy) }
        let result = try loop(transfer, settings)
        var proxyStatus = 0
        unsafe kapsule_curl_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &proxyStatus)
        try transfer.conclude(result, errorText.text, proxyStatus: proxyStatus)
    }

    private func loop(_ transfer: CurlTransfer, _ settings: TransportSettings) throws -> CURLcode {
        var watch = StallWatch(transfer.request.stallTimeout ?? settings.stallTimeout)
        while true {
            var running: Int32 = 0
            guard unsafe curl_multi_perform(multi, &running) == CURLM_OK else {
                throw KapsuleError(.defect, id: "http.curl", "libcurl cannot go on with a request")
            }
            if running == 0 { return result() }
            try transfer.checkWanted()
            if transfer.isPaused {
                watch.reset()
            } else {
                try watch.check(transfer.moved) { HTTPFailure.stalled(transfer.request, $0, $1).error }
            }
            if transfer.resume() {
                unsafe curl_easy_pause(easy, CURLPAUSE_CONT)
                continue
            }
            unsafe curl_multi_poll(multi, nil, 0, Self.pollMilliseconds, nil)
        }
    }

    private func result() -> CURLcode {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            if unsafe message.pointee.msg == CURLMSG_DONE { return unsafe message.pointee.data.result }
        }
        return CURLE_GOT_NOTHING
    }
}

/// Notices when nothing has moved for too long, or next to nothing.
struct StallWatch {
    /// A transfer that is slower would never end; a server that drips bytes keeps a connection for ever.
    private static let slowest: Int64 = 1 << 10

    private let limit: Duration
    /// Fewer bytes than this in `limit` are none.
    private let least: Int64
    private var lastCount: Int64 = -1
    private var lastMove = ContinuousClock.now
    private var windowCount: Int64 = 0
    private var windowStart = ContinuousClock.now

    init(_ limit: Duration) {
        self.limit = limit
        least = Int64(limit.milliseconds) * Self.slowest / 1000
    }

    mutating func reset() {
        lastMove = .now
        windowStart = .now
    }

    /// - Parameter failure: what it means that so many bytes moved in that time.
    mutating func check(_ count: Int64, _ failure: (Int64, Duration) -> KapsuleError) throws {
        if count != lastCount {
            lastCount = count
            lastMove = .now
            guard windowStart.duration(to: lastMove) > limit else { return }
            if count - windowCount < least { throw failure(count - windowCount, limit) }
            (windowStart, windowCount) = (lastMove, count)
        } else if lastMove.duration(to: .now) > limit {
            throw failure(0, limit)
        }
    }
}

/// Idle handles. A request takes the one that was last connected to its origin.
final class CurlPool: Sendable {
    /// Connections that are kept while no request uses them.
    private static let capacity = 16
    private let idle = Mutex<[CurlHandle]>([])

    func take(for url: WebAddress) -> CurlHandle {
        let origin = "\(url.scheme)://\(url.authority)"
        let kept = idle.withLock { idle -> CurlHandle? in
            guard let index = idle.lastIndex(where: { $0.origin == origin }) else {
                return idle.count == Self.capacity ? idle.removeFirst() : nil
            }
            return idle.remove(at: index)
        }
        let handle = kept ?? CurlHandle()
        handle.origin = origin
        return handle
    }

    func give(_ handle: CurlHandle) {
        let surplus = idle.withLock { idle -> CurlHandle? in
            idle.append(handle)
            return idle.count > Self.capacity ? idle.removeFirst() : nil
        }
        _ = surplus  // Closed here, outside the lock.
    }
}
