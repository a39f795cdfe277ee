internal import KapsuleCore

/// What a drawn node says, in its parts. All of it is printable, and none of it shortened.
struct NodeLabel {
    /// `SOURCE`, `COMMIT oci`.
    let heading: String
    /// The file, the reference, the destination; `config.json + 13 files` of a transfer of many.
    let title: String
    /// `@ 4e20de3abc12 · 3 files`; nil where there is nothing to add.
    let detail: String?
    let size: String?
    let isCached: Bool

    init(_ node: Plan.Node) {
        let step = node.step
        var heading = step.kind.rawValue
        var title = step.subject
        var detail: String?
        switch step {
        case let source as SourceStep:
            title = source.reference
            detail = Self.detail(of: source)
        case let transfer as TransferStep where transfer.files.count > 1:
            title = "\(transfer.files[0].path) + \(PlanTotals.counted(transfer.files.count - 1, "file"))"
        case let commit as CommitStep:
            let parts = OutputNames.parts(of: commit.name)
            if let destination = parts.destination {
                heading += " " + parts.kind
                title = destination
            }
        default: break
        }
        self.heading = Printable.text(heading)
        self.title = Printable.text(title)
        self.detail = detail.map { Printable.text($0) }
        size = step.size.map(ByteCount.text)
        isCached = node.isShownAsCached
    }

    private static func detail(of source: SourceStep) -> String {
        let files = PlanTotals.counted(source.fileCount, "file")
        guard let revision = source.revision, !source.reference.hasSuffix(revision) else { return files }
        let short = Digest(parsing: revision).map { "sha256:" + $0.short } ?? String(revision.prefix(12))
        return "@ \(short) · \(files)"
    }

    /// `TRANSFER · 1.2 GiB · cached`.
    var summary: String {
        [heading, size, isCached ? "cached" : nil].compactMap(\.self).joined(separator: " · ")
    }
}
