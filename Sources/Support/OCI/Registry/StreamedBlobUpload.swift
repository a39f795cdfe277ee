internal import HTTP
public import KapsuleCore
internal import Synchronization

/// A blob that is written while it is sent, and named when it is whole.
///
/// A failure surfaces at the next `write` or at `finish`; `.unavailable` means that a new upload, with the bytes
/// offered anew, may succeed. A value that is let go without `finish` leaves nothing at the registry.
public final class StreamedBlobUpload: ByteSink, Sendable {
    private let session: UploadSession
    private let upload: StreamingUpload
    private let isOver = Atomic(false)

    init(_ session: UploadSession, _ upload: StreamingUpload) {
        self.session = session
        self.upload = upload
    }

    deinit { abandon() }

    /// In bytes, as it was begun.
    public var size: Int64 { session.size }

    /// - Precondition: no more than `size` bytes come.
    public func write(_ bytes: Span<UInt8>) throws { try upload.write(bytes) }

    /// Waits until the registry has everything under that name.
    ///
    /// - Precondition: all `size` bytes have come.
    /// - Throws: `.unverified` when the registry found another digest.
    public func finish(_ digest: Digest) throws {
        let response = try upload.finish()
        try session.sent(response)
        try session.close(digest)
        isOver.store(true, ordering: .relaxed)
    }

    /// Cuts the request, and ends the session at the registry as far as it can be reached.
    public func abandon() {
        guard !isOver.exchange(true, ordering: .relaxed) else { return }
        upload.abandon()
        session.cancel()
    }
}
