public import KapsuleCore
internal import KapsuleCrypto

/// Turns a bundle and the sessions of its outputs into a plan. Moves no weights.
public enum Planner {
    /// - Parameters:
    ///   - sources: what the model was resolved from, in the order of the Modelfile.
    ///   - sessions: begun for `bundle`.
    public static func plan(
        _ bundle: ModelBundle, from sources: [PinnedSource], to sessions: [any ExportSession]
    ) -> Plan {
        var plan = Plan()
        let sourceIDs = sources.map { source in
            let files = bundle.files.indices.filter { source.files.contains(bundle.files[$0].path) }
            let size = files.reduce(Int64(0)) { $0 + bundle.files[$1].source.size }
            let step = SourceStep(
                reference: source.reference, revision: source.revision, fileCount: files.count, size: size)
            return plan.add(step, state: .cached, at: source.span)
        }
        let transferIDs = bundle.lanes.indices.map { lane in
            let paths = Set(bundle.lanes[lane].files.map { bundle.files[$0].path })
            let inputs = sources.indices.filter { !sources[$0].files.isDisjoint(with: paths) }.map { sourceIDs[$0] }
            return plan.add(
                TransferStep(lane: lane, of: bundle, to: sessions.map(\.name)), after: inputs,
                state: isCached(lane, sessions) ? .cached : .pending)
        }
        for (index, session) in sessions.enumerated() {
            plan.add(
                CommitStep(output: index, name: session.name, modelfile: Digest.of(bundle.modelfile)),
                after: transferIDs)
        }
        return plan
    }

    /// Nothing is read when every output has the lane, or has only to confirm that it does.
    private static func isCached(_ lane: Int, _ sessions: [any ExportSession]) -> Bool {
        !sessions.isEmpty
            && sessions.allSatisfy { session in
                switch session.foresee(lane: lane) {
                case .present: true
                case .known, .reads: false
                }
            }
    }
}

/// One FROM, ADAPTER or DRAFT, resolved.
public struct PinnedSource: Sendable {
    /// As the Modelfile writes it.
    public let reference: String
    /// A commit or a digest; nil for local files.
    public let revision: String?
    /// What it contributed to the bundle.
    public let files: Set<BundlePath>
    public let span: SourceSpan?

    public init(reference: String, revision: String?, files: Set<BundlePath>, span: SourceSpan?) {
        self.reference = reference
        self.revision = revision
        self.files = files
        self.span = span
    }
}
