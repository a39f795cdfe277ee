internal import KapsuleCore

/// What a plan amounts to.
struct PlanTotals: Equatable {
    var files = 0
    var outputs = 0
    /// Bytes of the transfers that have to be done, and of those whose result is there already.
    var bytesToRead: Int64 = 0
    var bytesCached: Int64 = 0

    init(_ plan: Plan) {
        outputs = plan.nodes(of: .commit).count
        for (_, node) in plan.nodes(of: .transfer) {
            files += node.step.fileCount
            switch node.state {
            case .pending: bytesToRead += node.step.size ?? 0
            case .cached: bytesCached += node.step.size ?? 0
            }
        }
    }

    /// `14 files · 988.0 MiB to read · 0 B cached · 2 outputs`.
    var text: String {
        [
            Self.counted(files, "file"), "\(ByteCount.text(bytesToRead)) to read",
            "\(ByteCount.text(bytesCached)) cached", Self.counted(outputs, "output"),
        ].joined(separator: " · ")
    }

    static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}

extension Step {
    /// Files that it moves.
    var fileCount: Int { (self as? TransferStep)?.files.count ?? (kind == .transfer ? 1 : 0) }
}

extension Plan.Node {
    /// Whether it is worth saying that nothing has to be done. A source never moves anything.
    var isShownAsCached: Bool { state == .cached && step.kind != .source }
}

extension Plan.ID {
    /// As every printed plan numbers it, from 1.
    var number: Int { index + 1 }
}
