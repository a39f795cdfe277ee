internal import CZlib
public import KapsuleCore

/// Compresses what passes: one gzip member with no name, no time and no system in its header, so equal bytes give equal
/// bytes wherever the same zlib is used.
///
/// Source: RFC 1952; zlib's `deflate`, level 6.
@safe
public struct GzipSink<Next: ByteSink & ~Copyable>: ByteSink, ~Copyable {
    public var next: Next
    // On the heap: zlib remembers the address of the structure it was given.
    private let stream: UnsafeMutablePointer<z_stream>
    private var buffer = [UInt8](repeating: 0, count: 128 << 10)
    private var hasHeader = false
    private var crc: UInt = 0
    private var count: UInt32 = 0

    public init(_ next: consuming Next) {
        self.next = next
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // Negative window bits: no header and trailer, which are written here.
        let result = unsafe deflateInit2_(
            stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(result == Z_OK, "zlib has no memory for a compressor, or is of another version")
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        try writeHeader()
        var done = 0
        while done < bytes.count {
            // zlib counts in 32 bits.
            let part = bytes.extracting(done..<min(bytes.count, done + 1 << 30))
            crc = unsafe part.withUnsafeBufferPointer { unsafe crc32(crc, $0.baseAddress, UInt32($0.count)) }
            count &+= UInt32(part.count)
            try deflate(part, flush: Z_NO_FLUSH)
            done += part.count
        }
    }

    /// Writes the last of the compressed bytes. Called once.
    public mutating func finish() throws {
        try writeHeader()
        let nothing: [UInt8] = []
        try deflate(nothing.span, flush: Z_FINISH)
        let words = [UInt32(truncatingIfNeeded: crc), count]
        let trailer = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) } }
        try next.write(trailer.span)
    }

    private mutating func writeHeader() throws {
        guard !hasHeader else { return }
        hasHeader = true
        // Magic, deflate, no flags, no time, no extra flags, system "unknown".
        let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]
        try next.write(header.span)
    }

    private mutating func deflate(_ bytes: Span<UInt8>, flush: Int32) throws {
        // Taken out for the while, so that `next` may have what is in it.
        var output: [UInt8] = []
        swap(&output, &buffer)
        defer { swap(&output, &buffer) }
        let stream = unsafe stream
        var used = 0
        var result = Z_OK
        repeat {
            let left = bytes.extracting(droppingFirst: used)
            let (taken, made) = unsafe left.withUnsafeBufferPointer { input in
                unsafe output.withUnsafeMutableBufferPointer { output in
                    unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                    unsafe stream.pointee.avail_in = UInt32(input.count)
                    unsafe stream.pointee.next_out = output.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(output.count)
                    result = unsafe CZlib.deflate(stream, flush)
                    return unsafe (
                        input.count - Int(stream.pointee.avail_in), output.count - Int(stream.pointee.avail_out)
                    )
                }
            }
            precondition(result != Z_STREAM_ERROR, "zlib lost its state")
            used += taken
            if made > 0 { try next.write(output.span.extracting(first: made)) }
            // A full buffer may have more behind it.
            if made < output.count, used == bytes.count { break }
        } while true
    }
}
