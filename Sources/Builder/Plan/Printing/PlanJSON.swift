internal import KapsuleCore

/// A plan for scripts. Members are always there and in this order; what is unknown is null.
struct PlanJSON {
    let plan: Plan

    init(_ plan: Plan) { self.plan = plan }

    func rendered() -> String {
        let totals = PlanTotals(plan)
        let document = JSON.members([
            "nodes": .array(plan.nodes.enumerated().map { node($0.element, number: $0.offset + 1) }),
            "totals": .members([
                "nodes": .int(Int64(plan.nodes.count)),
                "files": .int(Int64(totals.files)),
                "outputs": .int(Int64(totals.outputs)),
                "bytesToRead": .int(totals.bytesToRead),
                "bytesCached": .int(totals.bytesCached),
            ]),
        ])
        return Printable.json(document, pretty: true) + "\n"
    }

    private func node(_ node: Plan.Node, number: Int) -> JSON {
        .members([
            "id": .int(Int64(number)),
            "kind": .string(node.step.kind.rawValue),
            "subject": .string(node.step.subject),
            "size": node.step.size.map(JSON.int) ?? .null,
            "outputs": .array(node.step.outputs.map(JSON.string)),
            "inputs": .array(node.inputs.map { .int(Int64($0.number)) }),
            "state": .string(node.state.rawValue),
            "key": (node.step.key?.description).map(JSON.string) ?? .null,
            "line": (node.span?.line).map { .int(Int64($0)) } ?? .null,
            "files": (node.step as? TransferStep).map(files),
        ])
    }

    /// Only of a transfer: its subject names the first file alone.
    private func files(of step: TransferStep) -> JSON {
        .array(
            step.files.map { file in
                .members([
                    "path": .string(file.path.text),
                    "size": .int(file.size),
                    "digest": (file.digest?.description).map(JSON.string) ?? .null,
                ])
            })
    }
}
