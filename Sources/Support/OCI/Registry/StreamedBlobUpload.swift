internal import HTTP
public import KapsuleCore
internal import Synchronization

/// A blob that is written while it is sent, and named when it is whole.
///
/// A failure surfaces at the next `write` or at `finish`; `.unavailable` means that another upload, with the bytes
/// offered anew, may succeed: with a key it goes on where this one stopped. A value that is let go without `finish`
/// leaves nothing at the registry, unless it has a key.
public final class StreamedBlobUpload: ByteSink, Sendable {
    private struct State {
        /// Bytes that were written here.
        var position: Int64 = 0
        var request: (upload: StreamingUpload, range: Range<Int64>)?
        var isOver = false
    }

    private let session: UploadSession
    private let activity: Activity?
    private let form: UploadForm
    private let state: Mutex<State>

    init(_ session: UploadSession, _ activity: Activity?) throws {
        self.session = session
        self.activity = activity
        form = session.client.server.uploadForm
        state = Mutex(State())
        try state.withLock { try next(&$0) }
    }

    deinit { abandon() }

    /// In bytes, as it was begun.
    public var size: Int64 { session.size }

    /// Begins the next request, where one is needed.
    private func next(_ state: inout State) throws {
        let start = session.offset
        guard start < size else { return state.request = nil }
        let range = start..<session.end(of: form)
        state.request = (try session.stream(range, activity), range)
    }

    /// - Precondition: no more than `size` bytes come.
    public func write(_ bytes: Span<UInt8>) throws {
        try state.withLock { state in
            var rest = bytes
            while !rest.isEmpty {
                let passed = try pass(rest, &state)
                state.position += Int64(passed)
                rest = rest.extracting(droppingFirst: passed)
            }
        }
    }

    /// - Returns: how many of the bytes were taken.
    private func pass(_ bytes: Span<UInt8>, _ state: inout State) throws -> Int {
        guard let (upload, range) = state.request, state.position < range.upperBound else {
            // The registry has these since an earlier upload.
            let known = session.offset - state.position
            precondition(known > 0, "an upload is as long as it said")
            return Int(min(known, Int64(bytes.count)))
        }
        if state.position < range.lowerBound { return Int(min(range.lowerBound - state.position, Int64(bytes.count))) }
        let count = Int(min(range.upperBound - state.position, Int64(bytes.count)))
        try upload.write(bytes.extracting(first: count))
        if state.position + Int64(count) == range.upperBound {
            try session.sent(try upload.finish(), range)
            try next(&state)
        }
        return count
    }

    /// Waits until the registry has everything under that name.
    ///
    /// - Precondition: all `size` bytes have come.
    /// - Throws: `.unverified` when the registry found another digest.
    public func finish(_ digest: Digest) throws {
        do {
            try session.close(digest)
            state.withLock { $0.isOver = true }
        } catch let error as KapsuleError where error.id == "http.status" {
            // What it has is not what it should be, or is gone.
            session.cancel()
            state.withLock { $0.isOver = true }
            throw error
        }
    }

    /// Cuts the request, and ends the session at the registry unless somebody may go on with it.
    public func abandon() {
        let upload = state.withLock { state -> StreamingUpload?? in
            guard !state.isOver else { return .none }
            state.isOver = true
            return .some(state.request?.upload)
        }
        guard let upload else { return }
        upload?.abandon()
        if !session.canGoOn { session.cancel() }
    }
}
