/// The graph of a plan drawn together: nodes that nothing but their names tells apart, and edges that run in parallel.
///
/// Three hundred transfers to two outputs are six hundred edges, and say one thing. Both forms lose nothing: every
/// member of a group has all of the group's edges, and a bundle stands for an edge from each input to each consumer.
struct PlanShape {
    /// Nodes of one kind with the same inputs and the same consumers, ascending.
    struct Group {
        var members: [Int]
        let kind: StepKind
    }

    /// All edges between some inputs and the nodes that wait for exactly those inputs.
    struct Bundle {
        let inputs: [Int]
        var consumers: [Int]
    }

    private struct Twin: Hashable {
        let kind: StepKind
        let inputs: [Int]
        let consumers: [Int]
    }

    private(set) var groups: [Group] = []
    private(set) var bundles: [Bundle] = []
    /// Columns from the left: a node stands behind all its inputs, and not before the column of its kind.
    private(set) var layers: [Int] = []

    init(_ plan: Plan) {
        let inputs = plan.nodes.map { Set($0.inputs.map(\.index)).sorted() }
        var consumers = [[Int]](repeating: [], count: inputs.count)
        for (node, inputs) in inputs.enumerated() { for input in inputs { consumers[input].append(node) } }

        var groupOf: [Twin: Int] = [:]
        var bundleOf: [[Int]: Int] = [:]
        for (index, node) in plan.nodes.enumerated() {
            let kind = node.step.kind
            let twin = Twin(kind: kind, inputs: inputs[index], consumers: consumers[index])
            if let group = groupOf[twin] {
                groups[group].members.append(index)
            } else {
                groupOf[twin] = groups.count
                groups.append(Group(members: [index], kind: kind))
            }
            let first = StepKind.allCases.firstIndex(of: kind) ?? 0
            layers.append(inputs[index].reduce(first) { max($0, layers[$1] + 1) })
            guard !inputs[index].isEmpty else { continue }
            if let bundle = bundleOf[inputs[index]] {
                bundles[bundle].consumers.append(index)
            } else {
                bundleOf[inputs[index]] = bundles.count
                bundles.append(Bundle(inputs: inputs[index], consumers: [index]))
            }
        }
    }
}
