internal import KapsuleCore
internal import KapsuleIO

/// Reads one lane for all outputs that want it, again for those that failed in a way that may pass.
struct LaneTransfer {
    /// Attempts that in a row moved nothing further before an output is given up.
    static let attempts = 4
    /// Bytes that count as moving further.
    private static let progress: Int64 = 1 << 20

    let bundle: ModelBundle
    let lane: Int
    let sessions: [any ExportSession]
    let progress: any ProgressReporter

    struct Result {
        /// By the index of the file in the bundle.
        var files: [Int: Artifact] = [:]
        /// Outputs that are given up, with the reason.
        var failures: [(output: Int, error: KapsuleError)] = []
        /// Whether any byte was read.
        var wasRead = false
    }

    /// An output that failed in one attempt.
    private struct Failure {
        let output: Int
        let error: KapsuleError
        /// Whether it failed to begin: that was tried often enough by whoever knows the network.
        var isFinal = false
    }

    /// - Parameter outputs: indices into `sessions` of those that have not failed before.
    /// - Throws: what the source of the bytes throws; a failing output is in the result instead.
    func run(for outputs: [Int]) throws -> Result {
        var result = Result()
        var waiting = outputs
        let activity = Activity(TransferStep.subject(of: files.map { bundle.files[$0].path }), total: size)
        progress.began(activity)
        do {
            var isFirst = true
            var idle = 0
            var furthest: Int64 = 0
            while !waiting.isEmpty {
                activity.restart(at: 0)
                let failures = try attemptVerified(isFirst, for: waiting, activity: activity, result: &result)
                isFirst = false
                idle = activity.done >= furthest + Self.progress ? 1 : idle + 1
                furthest = max(furthest, activity.done)
                waiting = failures.filter { idle < Self.attempts && $0.error.code == .unavailable && !$0.isFinal }
                    .map(\.output)
                result.failures += failures.filter { !waiting.contains($0.output) }.map { ($0.output, $0.error) }
            }
            progress.ended(activity, outcome(result))
        } catch {
            progress.ended(activity, .failed(KapsuleError(wrapping: error)))
            throw error
        }
        return result
    }

    private var files: [Int] { bundle.lanes[lane].files }
    private var size: Int64 { files.reduce(0) { $0 + bundle.files[$1].source.size } }

    /// Whether a digest was promised by somebody else than this machine's own cache, and has to be proved.
    private var vouchedElsewhere: Bool {
        files.contains { bundle.files[$0].source.digest != nil && !bundle.files[$0].source.isWatched }
    }

    private func outcome(_ result: Result) -> ActivityOutcome {
        if let failure = result.failures.first { return .failed(failure.error) }
        return result.wasRead ? .succeeded : .skipped
    }

    /// Bytes that are not what was promised are fetched a second time: what broke them may have been the way here.
    private func attemptVerified(
        _ isFirst: Bool, for outputs: [Int], activity: Activity, result: inout Result
    ) throws -> [Failure] {
        do {
            return try attemptOnce(for: outputs, salvages: isFirst, activity: activity, result: &result)
        } catch let error as KapsuleError where error.id == "content.mismatch" && isFirst {
            activity.restart(at: 0)
            return try attemptOnce(for: outputs, salvages: false, activity: activity, result: &result)
        }
    }

    private func attemptOnce(
        for outputs: [Int], salvages: Bool, activity: Activity, result: inout Result
    ) throws -> [Failure] {
        var failures: [Failure] = []
        var sinks: [(output: Int, sink: any LaneSink)] = []
        for output in outputs {
            do {
                if let sink = try sessions[output].open(lane: lane) { sinks.append((output, sink)) }
            } catch {
                failures.append(Failure(output: output, error: KapsuleError(wrapping: error), isFinal: true))
            }
        }
        guard !sinks.isEmpty else { return failures }
        result.wasRead = true
        let needsDigests = sinks.contains { sessions[$0.output].needsFileDigests } || vouchedElsewhere
        let fanOut = FanOutSink(sinks, needsDigests: needsDigests, activity: activity)
        do {
            try read(into: fanOut, salvaging: salvages ? sinks.map(\.output) : [], result: &result)
        } catch is SinksFailed {
            // Each one's own error is in `failures`.
        } catch {
            fanOut.abandon()
            throw error
        }
        return failures
            + fanOut.failures.map {
                Failure(output: $0.output, error: KapsuleError(wrapping: $0.error))
            }
    }

    private func read(into fanOut: FanOutSink, salvaging outputs: [Int], result: inout Result) throws {
        var sink = fanOut
        for index in files {
            let source = bundle.files[index].source
            let start = WallClock.now
            try sink.beginFile(index)
            if let held = salvaged(index, from: outputs) {
                try held.read(0..<held.size, into: &sink)
                try source.read(held.size..<source.size, into: &sink)
            } else if try !sink.handOver(source) {
                try source.read(0..<source.size, into: &sink)
            }
            guard let digest = try sink.endFile(index) else { continue }
            if let promised = source.digest, promised != digest { throw mismatch(index, promised, digest) }
            (source as? ContextFile)?.remember(digest, hashedFrom: start)
            result.files[index] = Artifact(digest: digest, size: source.size)
        }
        try sink.finish()
    }

    /// The longest beginning of a file that one of the outputs still has; only where a digest will tell whether it is good.
    private func salvaged(_ index: Int, from outputs: [Int]) -> (any ByteSource)? {
        let source = bundle.files[index].source
        guard source.digest != nil, !source.isWatched else { return nil }
        let held = outputs.compactMap { sessions[$0].salvaged(file: index) }.max { $0.size < $1.size }
        return held.flatMap { (1...max(1, source.size)).contains($0.size) ? $0 : nil }
    }

    private func mismatch(_ index: Int, _ promised: Digest, _ got: Digest) -> KapsuleError {
        KapsuleError(
            .unverified, id: "content.mismatch",
            "\(bundle.files[index].path) is not what its source promised: expected \(promised), got \(got)",
            remedy: "run the build again with --no-cache; if it happens again, the source itself is damaged")
    }
}

extension KapsuleError {
    /// Any error as one that can be reported; an unforeseen one is a defect.
    init(wrapping error: any Error) {
        switch error {
        case let error as KapsuleError: self = error
        case is CancellationError: self.init(.interrupted, id: "interrupted", "interrupted")
        case let error as SinksFailed: self.init(wrapping: error.first)
        default: self.init(.defect, id: "unexpected", "\(error)", cause: error)
        }
    }
}
