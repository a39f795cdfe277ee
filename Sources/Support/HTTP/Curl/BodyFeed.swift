internal import KapsuleCore

/// What a request's body is read from by libcurl.
protocol BodyFeed: AnyObject {
    /// In bytes; libcurl asks for no more.
    var length: Int64 { get }
    /// Puts bytes at the front of `buffer` and says how many; 0 at the end, nil when there are none yet.
    func next(into buffer: UnsafeMutableBufferPointer<UInt8>) throws -> Int?
    /// Whether `next` has something to give after it gave nil.
    var isReady: Bool { get }
    /// Whether whoever makes the body has given up.
    var isAbandoned: Bool { get }
}

extension BodyFeed {
    var isReady: Bool { true }
    var isAbandoned: Bool { false }
}

/// A body that is at hand: in memory, or in a source that can be read anywhere.
@safe
final class SourceFeed: BodyFeed {
    private let source: any ByteSource
    private let activity: Activity?
    private var rest: Range<Int64>
    let length: Int64

    init(_ body: HTTPBody) {
        length = body.length
        switch body {
        case .none: (source, rest, activity) = (MemorySource([]), 0..<0, nil)
        case .bytes(let bytes): (source, rest, activity) = (MemorySource(bytes), 0..<Int64(bytes.count), nil)
        case .source(let source, let range, let activity):
            (self.source, rest, self.activity) = (source, range, activity)
        }
    }

    func next(into buffer: UnsafeMutableBufferPointer<UInt8>) throws -> Int? {
        let count = Int(min(Int64(buffer.count), rest.upperBound - rest.lowerBound))
        guard count > 0 else { return 0 }
        var sink = unsafe BufferSink(buffer)
        try source.read(rest.lowerBound..<rest.lowerBound + Int64(count), into: &sink)
        precondition(sink.count == count, "a source gives what it is asked for")
        rest = rest.lowerBound + Int64(count)..<rest.upperBound
        activity?.advance(by: count)
        return count
    }
}

/// Fills a buffer of libcurl's.
@safe
struct BufferSink: ByteSink, ~Copyable {
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ buffer: UnsafeMutableBufferPointer<UInt8>) { unsafe self.buffer = buffer }

    mutating func write(_ bytes: Span<UInt8>) {
        precondition(unsafe bytes.count <= buffer.count - count, "a source gives no more than it is asked for")
        unsafe bytes.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe (buffer.baseAddress! + count).update(from: start, count: bytes.count)
        }
        count += bytes.count
    }
}
