internal import KapsuleCore
internal import KapsuleCrypto

/// One read of a lane, handed to every output that still wants it.
///
/// Several outputs work side by side, each on a thread of its own, at most a few blocks apart. A sink that fails is taken
/// out and its error kept; the others go on. Only when none is left does `write` throw.
final class FanOutSink: ByteSink {
    private var branches: [FanOutBranch]
    private(set) var failures: [(output: Int, error: any Error)] = []
    private var hasher = SHA256Hasher()
    private let hashes: Bool
    private let activity: Activity
    /// Nil for a single output: it works on the reader's thread.
    private let blocks: SharedBlocks?
    /// What is being filled for the branches.
    private var block: ByteBlock?

    /// - Parameters:
    ///   - sinks: by the outputs' indices.
    ///   - needsDigests: whether anybody wants the files' digests.
    ///   - activity: advanced by every byte of the files.
    init(_ sinks: [(output: Int, sink: any LaneSink)], needsDigests: Bool, activity: Activity) {
        branches = sinks.map { FanOutBranch(output: $0.output, sink: $0.sink) }
        hashes = needsDigests && !sinks.contains { $0.sink.digestsFiles }
        blocks = sinks.count > 1 ? SharedBlocks() : nil
        self.activity = activity
    }

    func beginFile(_ index: Int) throws { _ = try eachBranch { try $0.beginFile(index) } }

    func write(_ bytes: Span<UInt8>) throws {
        if hashes { hasher.update(bytes) }
        if let blocks {
            try share(bytes, in: blocks)
        } else {
            try writeDirectly(bytes)
        }
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
            drop(branches[0], because: error)
            try checkSomebodyListens()
        }
        return true
    }

    /// The digest of the file that ended; nil when nobody wants it, or the sink that was to work it out has failed.
    func endFile(_ index: Int) throws -> Digest? {
        passBlock()
        let digests = try eachBranch { try $0.endFile(index) }
        return hashes ? hasher.finalize() : digests.lazy.compactMap(\.self).first
    }

    func finish() throws { _ = try eachBranch { try $0.finish() } }

    /// Gives up on every output that has not failed already.
    func abandon() { for branch in branches { branch.abandon() } }

    private func writeDirectly(_ bytes: Span<UInt8>) throws {
        guard let branch = branches.first else { return try checkSomebodyListens() }
        do {
            var sink = branch.sink
            try sink.write(bytes)
        } catch {
            drop(branch, because: error)
            try checkSomebodyListens()
        }
    }

    private func share(_ bytes: Span<UInt8>, in blocks: SharedBlocks) throws {
        var done = 0
        while done < bytes.count {
            let block = try block ?? blocks.take()
            self.block = block
            done += block.fill(bytes.extracting(droppingFirst: done))
            guard block.isFull else { continue }
            passBlock()
            try dropFailed()
        }
    }

    private func passBlock() {
        guard let block else { return }
        self.block = nil
        blocks?.pass(block, to: branches)
    }

    private func eachBranch<T: Sendable>(_ body: @escaping @Sendable (any LaneSink) throws -> T) throws -> [T] {
        let results = branches.compactMap { $0.perform(body) }
        try dropFailed()
        return results
    }

    private func dropFailed() throws {
        for branch in branches {
            if let error = branch.failure { drop(branch, because: error) }
        }
        try checkSomebodyListens()
    }

    private func drop(_ branch: FanOutBranch, because error: any Error) {
        branches.removeAll { $0 === branch }
        branch.abandon()
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
