internal import CZlib
public import KapsuleCore

/// Decompresses what passes: gzip, any number of members one after another.
///
/// Source: RFC 1952; zlib's `inflate`.
@safe
public struct GunzipSink<Next: ByteSink & ~Copyable>: ByteSink, ~Copyable {
    public var next: Next
    private let stream: UnsafeMutablePointer<z_stream>
    private let limit: Int64
    private let what: String
    private var buffer = [UInt8](repeating: 0, count: 128 << 10)
    /// Whether the bytes so far are whole members, at least one.
    private var isWhole = false
    private var made: Int64 = 0

    /// - Parameters:
    ///   - limit: bytes that may come out: what was promised, so that a few bytes cannot fill a disk.
    ///   - what: names the stream in errors: `layer sha256:9f86…`.
    public init(_ next: consuming Next, limit: Int64 = .max, what: String) {
        self.next = next
        self.limit = limit
        self.what = what
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // 15: any window; 16 more: gzip, and nothing else.
        let result = unsafe inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(result == Z_OK, "zlib has no memory for a decompressor, or is of another version")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// - Throws: `.unverified` for what is not gzip, has a wrong checksum or becomes longer than the limit.
    public mutating func write(_ bytes: Span<UInt8>) throws {
        var output: [UInt8] = []
        swap(&output, &buffer)
        defer { swap(&output, &buffer) }
        var used = 0
        while used < bytes.count {
            // zlib counts in 32 bits.
            let part = bytes.extracting(used..<min(bytes.count, used + 1 << 30))
            used += try inflate(part, &output)
        }
    }

    /// All bytes have come.
    ///
    /// - Throws: `.unverified` in the middle of a member, or when nothing came.
    public mutating func finish() throws {
        guard isWhole else { throw problem("gzip.truncated", "ends in the middle of its compressed data") }
    }

    /// Uses some of `bytes`; returns how many.
    private mutating func inflate(_ bytes: Span<UInt8>, _ output: inout [UInt8]) throws -> Int {
        let stream = unsafe stream
        if isWhole {
            // The next member begins.
            unsafe inflateReset(stream)
            isWhole = false
        }
        var used = 0
        while true {
            var result = Z_OK
            let left = bytes.extracting(droppingFirst: used)
            let (taken, count) = unsafe left.withUnsafeBufferPointer { input in
                unsafe output.withUnsafeMutableBufferPointer { output in
                    unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                    unsafe stream.pointee.avail_in = UInt32(input.count)
                    unsafe stream.pointee.next_out = output.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(output.count)
                    result = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
                    return unsafe (
                        input.count - Int(stream.pointee.avail_in), output.count - Int(stream.pointee.avail_out)
                    )
                }
            }
            used += taken
            try pass(output.span.extracting(first: count))
            switch result {
            case Z_STREAM_END:
                isWhole = true
                return used
            case Z_OK where used == bytes.count && count < output.count: return used
            case Z_OK: continue
            // No progress is possible: all input is used, and the output fitted exactly.
            case Z_BUF_ERROR where used == bytes.count: return used
            case Z_MEM_ERROR: throw problem("gzip.memory", "needs more memory to decompress than there is")
            default: throw problem("gzip.malformed", "is not sound gzip data")
            }
        }
    }

    private mutating func pass(_ bytes: Span<UInt8>) throws {
        guard bytes.count > 0 else { return }
        made += Int64(bytes.count)
        guard made <= limit else {
            throw problem("gzip.too-long", "becomes longer than the \(limit) bytes it may have")
        }
        try next.write(bytes)
    }

    private func problem(_ id: String, _ reason: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: id, "\(what) \(reason)",
            remedy: "fetch or build it again; if it happens again, it was made wrong")
    }
}
