public import KapsuleCore

/// Something of known length on a server, any range of whose bytes can be asked for: a blob of a registry, a file of a
/// hub. `read` is what it is for; the rest says how one request is made and what its answers mean.
public protocol RangeOrigin: Sendable {
    /// Exact length, in bytes.
    var size: Int64 { get }
    /// For messages: `model.safetensors of acme/m`.
    var name: String { get }
    var retry: RetryPolicy { get }
    /// Sends one GET for `range`, which is not empty, with the header `Range: \(ByteRange.header(range))`.
    ///
    /// - Parameters:
    ///   - accepting: looks at the final answer before its first byte; where it says no, nothing is delivered.
    ///   - deliver: takes the body of an accepted answer.
    /// - Throws: what `accepting` and `deliver` throw, unchanged, and what the transport throws.
    func get(
        _ range: Range<Int64>, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse
    /// What an answer other than 200 and 206 means. One that may pass is an error for which `isTransientHTTP` holds.
    func refusal(_ response: HTTPResponse) -> KapsuleError
    /// What it means that the server has an object of another length.
    func wrongSize(_ size: Int64) -> KapsuleError
    /// An attempt failed with `error` and is made again: what it was made with, such as a signed address, may be stale.
    func attemptFailed(_ error: any Error)
}

extension RangeOrigin {
    public func attemptFailed(_ error: any Error) {}

    /// Tried again, because a proxy may have been wrong; then bytes that cannot be verified.
    public func wrongSize(_ size: Int64) -> KapsuleError {
        KapsuleError(
            .unverified, id: "http.size",
            "\(name) has \(size) bytes at the server, not the \(self.size) that it should",
            remedy: "run the command again; if it happens again, the server is wrong about one of the two")
    }

    /// Hands `range` to `sink`, in order.
    ///
    /// A long range is read over several connections: the piece at the head streams straight on, those behind it wait in
    /// a pool of memory that the whole process shares. Each piece is resumed at the byte where a connection broke, and has
    /// a budget of attempts of its own that progress refreshes. The bytes are not checked; see `VerifyingSink`.
    ///
    /// Blocks the calling thread. A server that ignores ranges is read over one connection.
    ///
    /// - Throws: `.unavailable` when the bytes stop coming, and what `refusal`, `wrongSize` and `sink` say. The first piece
    ///   that fails for good stops the others.
    public func read(
        _ range: Range<Int64>, _ options: RangeOptions = RangeOptions(), into sink: inout some ByteSink & ~Copyable
    ) throws {
        precondition(range.lowerBound >= 0 && range.upperBound <= size, "a read lies within its object")
        guard !range.isEmpty else { return }
        try ParallelRead(self, range, options).run { try sink.write($0) }
    }
}

/// How a long range is cut up.
public struct RangeOptions: Sendable {
    /// Most connections that one read uses.
    public var connections = 4
    /// What one request fetches where others fetch beside it, in bytes.
    public var pieceSize: Int64 = 3 << 20
    /// Where pieces wait for their turn.
    public var pool = BlockPool.shared

    public init() {}

    /// - Parameter connections: 1 for a server that must not be asked twice at a time.
    public init(connections: Int) { self.connections = connections }
}

/// `Range: bytes=0-99`.
///
/// Source: RFC 9110, section 14.2.
public enum ByteRange {
    /// - Precondition: `range` is not empty.
    public static func header(_ range: Range<Int64>) -> String {
        precondition(!range.isEmpty, "an empty range cannot be written")
        return "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
    }
}
