internal import Dispatch
public import KapsuleCore
internal import Synchronization

/// A request whose body is written block by block, while another thread sends it.
///
/// A block is copied once, into one of a few buffers; `write` waits while all are full. What the request fails with
/// surfaces at the next `write` or at `finish`. A value that is let go cuts its request.
public final class StreamingUpload: ByteSink, Sendable {
    private struct Writer {
        var block: ByteBlock?
        var count: Int64 = 0
    }

    /// Of the body, in bytes.
    public let size: Int64
    private let ring: UploadRing
    private let activity: Activity?
    private let refusal: @Sendable (HTTPResponse) -> KapsuleError
    private let request: HTTPRequest
    private let writer = Mutex(Writer())

    init(
        _ transport: HTTPTransport, _ request: HTTPRequest, size: Int64, activity: Activity?,
        refusal: @escaping @Sendable (HTTPResponse) -> KapsuleError
    ) {
        self.size = size
        self.activity = activity
        self.refusal = refusal
        self.request = request
        let ring = UploadRing(length: size)
        self.ring = ring
        // A queue of its own is a thread of its own, which may block.
        DispatchQueue(label: "kapsule.upload").async {
            ring.complete(Result { try transport.exchange(request, from: ring) })
        }
    }

    deinit { ring.abandon() }

    /// - Throws: what the request failed with: `.unavailable` where another try may help.
    /// - Precondition: no more than `size` bytes come.
    public func write(_ bytes: Span<UInt8>) throws {
        try writer.withLock { writer in
            writer.count += Int64(bytes.count)
            precondition(writer.count <= size, "an upload is as long as it said")
            var done = 0
            while done < bytes.count {
                let block = try writer.block ?? emptyBlock()
                done += block.fill(bytes.extracting(droppingFirst: done))
                writer.block = block
                if block.isFull { pass(&writer) }
            }
        }
    }

    /// Waits for the answer, which is a success.
    ///
    /// - Precondition: all `size` bytes have come.
    public func finish() throws -> HTTPResponse {
        writer.withLock { writer in
            precondition(writer.count == size, "an upload is as long as it said")
            pass(&writer)
        }
        let response = try ring.outcome().get()
        guard response.isSuccess else { throw refusal(response) }
        return response
    }

    /// Cuts the request, and waits until it is cut.
    public func abandon() {
        ring.abandon()
        _ = try? ring.outcome()
    }

    private func pass(_ writer: inout Writer) {
        guard let block = writer.block else { return }
        writer.block = nil
        activity?.advance(by: block.count)
        ring.pass(block)
    }

    private func emptyBlock() throws -> ByteBlock {
        if let block = try ring.emptyBlock() {
            block.clear()
            return block
        }
        let response = try ring.outcome().get()
        guard response.isSuccess else { throw refusal(response) }
        throw HTTPFailure.cut(request, "the server answered before it had everything").error
    }
}
