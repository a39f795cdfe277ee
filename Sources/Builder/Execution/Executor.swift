public import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// Runs a plan: lanes side by side, each read once for all outputs; then every output's commit.
public struct Executor: Sendable {
    /// Large lanes at one time.
    public let concurrency: Int
    /// Lanes of fewer bytes are small.
    private static let smallLane: Int64 = 16 << 20
    public let progress: any ProgressReporter

    public init(concurrency: Int, progress: any ProgressReporter) {
        self.concurrency = concurrency
        self.progress = progress
    }

    /// What became of one output.
    public enum Outcome: Sendable {
        case made(ExportReceipt)
        case failed(KapsuleError)
    }

    /// What a run did.
    public struct Report: Sendable {
        /// By output.
        public let outcomes: [Outcome]
        /// Digests and sizes of the bundle's files, where known.
        public let files: [Artifact?]
    }

    private struct State {
        var files: [Artifact?]
        var failures: [Int: KapsuleError] = [:]
    }

    /// - Parameter sessions: one for each output of the plan, begun for `bundle`.
    /// - Throws: `.noSpace` before the first byte, and what the sources throw; failing outputs are in the report.
    public func run(
        _ plan: Plan, for bundle: ModelBundle, to sessions: [any ExportSession]
    ) async throws -> Report {
        try SpaceCheck.check(sessions)
        let state = Mutex(
            State(
                files: bundle.files.map { file in
                    file.source.digest.map { Artifact(digest: $0, size: file.source.size) }
                }))
        let lanes = plan.nodes(of: .transfer).compactMap { ($0.node.step as? TransferStep)?.lane }
        try await move(lanes, of: bundle) { lane in
            let failed = state.withLock { Set($0.failures.keys) }
            let transfer = LaneTransfer(bundle: bundle, lane: lane, sessions: sessions, progress: progress)
            let result = try transfer.run(for: sessions.indices.filter { !failed.contains($0) })
            state.withLock { state in
                for (index, artifact) in result.files { state.files[index] = artifact }
                for failure in result.failures where state.failures[failure.output] == nil {
                    state.failures[failure.output] = failure.error
                }
            }
            // With nobody left to write for, reading on would be for nothing.
            if let error = state.withLock({ $0.failures.count == sessions.count ? $0.failures[0] : nil }) {
                throw error
            }
        }
        let (files, failures) = state.withLock { ($0.files, $0.failures) }
        return Report(outcomes: try commit(sessions, files, failures), files: files)
    }

    /// Small lanes go one after the other beside the large ones: they wait for answers more than they move bytes, and a
    /// large one that began late would be alone at the end.
    private func move(
        _ lanes: [Int], of bundle: ModelBundle, _ transfer: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let isSmall = { (lane: Int) in
            bundle.lanes[lane].files.reduce(0) { $0 + bundle.files[$1].source.size } < Self.smallLane
        }
        let beside = concurrency > 1 ? lanes.filter(isSmall) : []
        let others = concurrency > 1 ? lanes.filter { !isSmall($0) } : lanes
        // Where all are small, they may as well go side by side.
        guard !others.isEmpty else { return try await forEach(lanes, limit: concurrency, transfer) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await forEach(beside, limit: 1, transfer) }
            group.addTask { try await forEach(others, limit: concurrency, transfer) }
            try await group.waitForAll()
        }
    }

    private func commit(
        _ sessions: [any ExportSession], _ files: [Artifact?], _ failures: [Int: KapsuleError]
    ) throws -> [Outcome] {
        try sessions.enumerated().map { index, session in
            if let error = failures[index] { return .failed(error) }
            try Task.checkNotInterrupted()
            do {
                return .made(try session.commit(files))
            } catch {
                return .failed(KapsuleError(wrapping: error))
            }
        }
    }
}
