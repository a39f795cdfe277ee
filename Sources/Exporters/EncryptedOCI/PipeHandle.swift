internal import KapsuleCore
internal import KapsuleIO

/// The near end of a pipe, which counts.
///
/// Where the far end finds the bytes malformed, the rest is read all the same: whether they are what was promised says
/// more than what is wrong with them.
final class PipeHandle<Output: Sendable>: ByteSink {
    private let pipe: PipedSink<Output>
    private let activity: Activity
    private var failure: KapsuleError?

    init(_ pipe: PipedSink<Output>, _ activity: Activity) {
        self.pipe = pipe
        self.activity = activity
    }

    func write(_ bytes: Span<UInt8>) throws {
        if failure == nil {
            do {
                try pipe.write(bytes)
            } catch let error as KapsuleError where error.code == .unverified {
                failure = error
            }
        }
        activity.advance(by: bytes.count)
    }

    /// What the far end made of it.
    func finish() throws -> Output {
        if let failure { throw failure }
        return try pipe.finish()
    }
}
