internal import KapsuleCore
internal import KapsuleCrypto

/// One read of a lane, handed to every output that still wants it.
///
/// A sink that fails is taken out and its error kept; the others go on. Only when none is left does `write` throw.
final class FanOutSink: ByteSink {
    private struct Branch {
        let output: Int
        let sink: any LaneSink
    }

    private var branches: [Branch]
    private(set) var failures: [(output: Int, error: any Error)] = []
    private var hasher = SHA256Hasher()
    private let hashes: Bool
    private let activity: Activity

    /// - Parameters:
    ///   - sinks: by the outputs' indices.
    ///   - needsDigests: whether anybody wants the files' digests.
    ///   - activity: advanced by every byte of the files.
    init(_ sinks: [(output: Int, sink: any LaneSink)], needsDigests: Bool, activity: Activity) {
        branches = sinks.map { Branch(output: $0.output, sink: $0.sink) }
        hashes = needsDigests && !sinks.contains { $0.sink.digestsFiles }
        self.activity = activity
    }

    func beginFile(_ index: Int) throws { try eachBranch { try $0.beginFile(index) } }

    func write(_ bytes: Span<UInt8>) throws {
        if hashes { hasher.update(bytes) }
        for position in branches.indices.reversed() {
            do {
                var sink = branches[position].sink
                try sink.write(bytes)
            } catch {
                drop(position, because: error)
            }
        }
        try checkSomebodyListens()
        activity.advance(by: bytes.count)
    }

    /// Lets the only output read the file itself, where it can and nobody wants the file's digest.
    ///
    /// - Returns: false when the bytes have to be written here.
    func handOver(_ source: any ByteSource) throws -> Bool {
        guard !hashes, branches.count == 1, let sink = branches[0].sink as? any RangeLaneSink,
            case .file = source.backing
        else { return false }
        do {
            try sink.take(source, activity)
        } catch let error as KapsuleError where error.id == "source.changed" {
            // Not the output's fault, and no better the next time.
            throw error
        } catch {
            drop(0, because: error)
            try checkSomebodyListens()
        }
        return true
    }

    /// The digest of the file that ended; nil when nobody wants it, or the sink that was to work it out has failed.
    func endFile(_ index: Int) throws -> Digest? {
        var digest: Digest?
        try eachBranch { digest = try $0.endFile(index) ?? digest }
        return hashes ? hasher.finalize() : digest
    }

    func finish() throws { try eachBranch { try $0.finish() } }

    /// Gives up on every output that has not failed already.
    func abandon() { for branch in branches { branch.sink.abandon() } }

    private func eachBranch(_ body: (any LaneSink) throws -> Void) throws {
        for position in branches.indices.reversed() {
            do {
                try body(branches[position].sink)
            } catch {
                drop(position, because: error)
            }
        }
        try checkSomebodyListens()
    }

    private func drop(_ position: Int, because error: any Error) {
        let branch = branches.remove(at: position)
        branch.sink.abandon()
        failures.append((branch.output, error))
    }

    private func checkSomebodyListens() throws {
        if branches.isEmpty, let failure = failures.first { throw SinksFailed(first: failure.error) }
    }
}

/// Every output of a lane failed; why is in `FanOutSink.failures`.
struct SinksFailed: Error {
    let first: any Error
}
