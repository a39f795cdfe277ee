internal import CCurl
internal import KapsuleCore

/// Sets up a handle for one transfer.
struct CurlOptions {
    /// Long enough for few calls, and short enough for a dozen transfers at one time.
    private static let receiveBuffer = 512 << 10
    private static let sendBuffer = 512 << 10

    let handle: CurlHandle
    let transfer: CurlTransfer

    func apply(_ settings: TransportSettings, _ headers: CurlList, _ errorText: CurlErrorText) throws {
        try address()
        try connection(settings)
        try tls(settings.tls)
        try method()
        unsafe kapsule_curl_set_list(handle.easy, CURLOPT_HTTPHEADER, headers.first)
        unsafe kapsule_curl_set_pointer(handle.easy, CURLOPT_ERRORBUFFER, errorText.buffer)
        callbacks()
    }

    private func set(_ option: CURLoption, _ value: Int) throws {
        try check(unsafe kapsule_curl_set_long(handle.easy, option, value))
    }

    private func set(_ option: CURLoption, _ value: String) throws {
        try check(unsafe kapsule_curl_set_string(handle.easy, option, value))
    }

    private func check(_ code: CURLcode) throws {
        guard code == CURLE_OK else {
            throw KapsuleError(
                .defect, id: "http.option",
                "libcurl refuses an option: \(unsafe String(cString: curl_easy_strerror(code)))")
        }
    }

    private func address() throws {
        let url = transfer.request.url
        try set(CURLOPT_URL, url.text)
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        // The target goes out as it came: an upload's address is opaque, and a signed one covers every byte.
        try set(CURLOPT_PATH_AS_IS, 1)
        // Proxies are for other machines.
        if url.isLoopback { try set(CURLOPT_PROXY, "") }
    }

    private func connection(_ settings: TransportSettings) throws {
        try set(CURLOPT_NOSIGNAL, 1)
        try set(CURLOPT_FOLLOWLOCATION, 0)
        if transfer.request.needsHTTP2 {
            try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE))
            // libcurl 7.88 greets a second time on a connection that it uses again, and the server hangs up.
            try set(CURLOPT_FRESH_CONNECT, 1)
            try set(CURLOPT_FORBID_REUSE, 1)
        }
        try set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeout.milliseconds)
        // A hint. libcurl 7.88 refuses it on a handle whose last look-up of a name failed, and keeps what it has.
        _ = unsafe kapsule_curl_set_long(handle.easy, CURLOPT_BUFFERSIZE, Self.receiveBuffer)
        try set(CURLOPT_UPLOAD_BUFFERSIZE, Self.sendBuffer)
        try set(CURLOPT_USERAGENT, settings.userAgent)
    }

    private func tls(_ tls: TLSSettings) throws {
        guard transfer.request.url.scheme == .https else { return }
        try set(CURLOPT_SSL_VERIFYPEER, tls.verifiesServer ? 1 : 0)
        try set(CURLOPT_SSL_VERIFYHOST, tls.verifiesServer ? 2 : 0)
        if let file = tls.caFile { try set(CURLOPT_CAINFO, file) }
        if !transfer.request.isAway, let certificate = tls.clientCertificate, let key = tls.clientKey {
            try set(CURLOPT_SSLCERT, certificate)
            try set(CURLOPT_SSLKEY, key)
        }
    }

    private func method() throws {
        switch transfer.request.method {
        case .get: try set(CURLOPT_HTTPGET, 1)
        case .head: try set(CURLOPT_NOBODY, 1)
        case .delete: try set(CURLOPT_CUSTOMREQUEST, "DELETE")
        case .post, .put, .patch:
            // As an upload, whatever the length: with `Content-Length`, from our callback.
            try set(CURLOPT_UPLOAD, 1)
            try set(CURLOPT_CUSTOMREQUEST, transfer.request.method.rawValue)
            try check(
                unsafe kapsule_curl_set_offset(handle.easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(transfer.feed.length)))
        }
    }

    private func callbacks() {
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        unsafe kapsule_curl_set_write(handle.easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            unsafe CurlTransfer.of(context).receiveHeader(UnsafeBufferPointer(start: bytes, count: size * count))
        }
        unsafe kapsule_curl_set_pointer(handle.easy, CURLOPT_HEADERDATA, context)
        unsafe kapsule_curl_set_write(handle.easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            unsafe CurlTransfer.of(context).receiveBody(UnsafeBufferPointer(start: bytes, count: size * count))
        }
        unsafe kapsule_curl_set_pointer(handle.easy, CURLOPT_WRITEDATA, context)
        unsafe kapsule_curl_set_read(handle.easy) { bytes, size, count, context in
            unsafe CurlTransfer.of(context).sendBody(UnsafeMutableBufferPointer(start: bytes, count: size * count))
        }
        unsafe kapsule_curl_set_pointer(handle.easy, CURLOPT_READDATA, context)
        unsafe kapsule_curl_set_progress(handle.easy) { context, _, down, _, up in
            unsafe CurlTransfer.of(context).moved = Int64(down + up)
            return 0
        }
        unsafe kapsule_curl_set_pointer(handle.easy, CURLOPT_XFERINFODATA, context)
        unsafe kapsule_curl_set_long(handle.easy, CURLOPT_NOPROGRESS, 0)
    }
}

extension Duration {
    var milliseconds: Int {
        Int(clamping: components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}

/// Header lines for libcurl, freed with the value.
@safe
final class CurlList {
    private(set) var first: UnsafeMutablePointer<curl_slist>?

    init(_ lines: [String]) {
        for line in lines {
            guard let longer = unsafe curl_slist_append(first, line) else { fatalError("libcurl has no memory") }
            unsafe first = longer
        }
    }

    deinit { unsafe curl_slist_free_all(first) }
}

/// Where libcurl says what went wrong.
@safe
final class CurlErrorText {
    let buffer: UnsafeMutablePointer<CChar>

    init() {
        unsafe buffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe buffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit { unsafe buffer.deallocate() }

    var text: String { unsafe String(cString: buffer) }
}
