internal import KapsuleCore

/// A plan for people: a line a node, what it waits for and where its bytes go.
///
/// ```
/// #  STEP      WHAT                                    SIZE  STATE   FROM  TO
/// 1  SOURCE    hf://acme/m @ 4e20de3abc12 · 1 file  1.2 GiB
/// 2  TRANSFER  model.safetensors                    1.2 GiB  cached  ← 1   → oci
/// 3  COMMIT    oci → localhost:5000/m:1                              ← 2
/// ```
struct PlanText {
    /// Widest subject, in columns.
    static let subjectWidth = 68

    let plan: Plan
    private let names: OutputNames

    init(_ plan: Plan) {
        self.plan = plan
        names = OutputNames(plan)
    }

    func rendered() -> String {
        guard !plan.nodes.isEmpty else { return "nothing to do\n" }
        var table = TextTable(
            .right("#"), .left("STEP"), .left("WHAT", maximum: Self.subjectWidth), .right("SIZE"), .left("STATE"),
            .left("FROM", maximum: 32), .left("TO"))
        for (index, node) in plan.nodes.enumerated() {
            table.add(
                String(index + 1), node.step.kind.rawValue, subject(of: node),
                node.step.size.map(ByteCount.text) ?? "", node.isShownAsCached ? "cached" : "",
                Self.arrow("←", Self.ranges(node.inputs.map(\.number))), destination(of: node))
        }
        return table.rendered() + "\n" + PlanTotals(plan).text + "\n"
    }

    /// Forty digits of a commit say no more to people than twelve.
    private func subject(of node: Plan.Node) -> String {
        guard let source = node.step as? SourceStep, let detail = NodeLabel(node).detail else {
            return node.step.subject
        }
        return "\(DisplayWidth.elided(source.reference, to: Self.subjectWidth - DisplayWidth.of(detail) - 1)) \(detail)"
    }

    /// A commit is its own output, and says so already.
    private func destination(of node: Plan.Node) -> String {
        node.step.kind == .commit ? "" : Self.arrow("→", names.list(node.step.outputs))
    }

    private static func arrow(_ arrow: String, _ text: String) -> String { text.isEmpty ? "" : arrow + " " + text }

    /// `1, 3-5`: ascending, neighbours drawn together.
    static func ranges(_ numbers: [Int]) -> String {
        var runs: [ClosedRange<Int>] = []
        for number in Set(numbers).sorted() {
            if let last = runs.last, last.upperBound + 1 == number {
                runs[runs.count - 1] = last.lowerBound...number
            } else {
                runs.append(number...number)
            }
        }
        return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }
}

/// Short names of outputs: `oci` for `oci → localhost:5000/m:1` while only one output begins so.
struct OutputNames {
    private var short: [String: String] = [:]
    private let count: Int

    init(_ plan: Plan) {
        let commits = plan.nodes(of: .commit)
        let kinds = Dictionary(grouping: commits, by: { Self.kind(of: $0.node.step.subject) })
        for (id, node) in commits {
            let kind = Self.kind(of: node.step.subject)
            short[node.step.subject] = kinds[kind]?.count == 1 ? kind : "\(kind) #\(id.number)"
        }
        count = commits.count
    }

    /// `oci, verity`; `all 5 outputs` where naming them all would take the line.
    func list(_ outputs: [String]) -> String {
        guard outputs.count <= 3 || outputs.count != count else { return "all \(count) outputs" }
        return outputs.map { short[$0] ?? $0 }.joined(separator: ", ")
    }

    /// What stands before the arrow of an output's name; all of a name without one.
    static func kind(of name: String) -> String { parts(of: name).kind }

    /// `oci → localhost:5000/m:1` in its two halves.
    static func parts(of name: String) -> (kind: String, destination: String?) {
        guard let arrow = name.firstRange(of: " → ") else { return (name, nil) }
        return (String(name[..<arrow.lowerBound]), String(name[arrow.upperBound...]))
    }
}
