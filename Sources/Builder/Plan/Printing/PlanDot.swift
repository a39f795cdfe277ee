/// A plan for Graphviz: `kapsule plan --format dot | dot -Tsvg`.
struct PlanDot {
    let plan: Plan

    init(_ plan: Plan) { self.plan = plan }

    func rendered() -> String {
        let shape = PlanShape(plan)
        var lines = [
            "digraph plan {",
            "  rankdir=LR",
            "  label=\(Self.quoted([PlanTotals(plan).text]))",
            "  fontname=\"Helvetica\"",
            "  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11, margin=\"0.15,0.08\"]",
            "  edge [color=\"#8a93a6\", arrowsize=0.7]",
        ]
        lines += plan.nodes.enumerated().map { node($0.element, number: $0.offset + 1) }
        lines += shape.bundles.enumerated().flatMap { edges(of: $0.element, number: $0.offset + 1) }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    private func node(_ node: Plan.Node, number: Int) -> String {
        let label = NodeLabel(node)
        let text = Self.quoted([label.summary, label.title, label.detail].compactMap(\.self))
        let style = label.isCached ? ", style=\"rounded,filled,dashed\"" : ""
        return "  n\(number) [label=\(text), fillcolor=\"\(Self.fill(node.step.kind))\"\(style)]"
    }

    /// Through a point where many meet many, so that edges are as many as nodes.
    private func edges(of bundle: PlanShape.Bundle, number: Int) -> [String] {
        let inputs = Self.set(bundle.inputs)
        let consumers = Self.set(bundle.consumers)
        guard bundle.inputs.count > 1, bundle.consumers.count > 1 else { return ["  \(inputs) -> \(consumers)"] }
        return [
            "  b\(number) [shape=point, width=0.06, color=\"#8a93a6\"]",
            "  \(inputs) -> b\(number) [dir=none]",
            "  b\(number) -> \(consumers)",
        ]
    }

    private static func set(_ nodes: [Int]) -> String {
        let names = nodes.map { "n\($0 + 1)" }
        return names.count == 1 ? names[0] : "{\(names.joined(separator: " "))}"
    }

    private static func fill(_ kind: StepKind) -> String {
        switch kind {
        case .source: "#dbe7ff"
        case .transfer: "#fff0d1"
        case .commit: "#d8f3e3"
        }
    }

    /// A label: lines that a reader of dot sees as they are.
    ///
    /// Source: Graphviz, "The DOT Language" (quoted strings), "escString", and HTML entities, which labels decode.
    private static func quoted(_ lines: [String]) -> String {
        let escaped = lines.map { line in
            line.reduce(into: "") { text, character in
                switch character {
                case "\"": text += "\\\""
                case "\\": text += "\\\\"
                case "&": text += "&amp;"
                default: text.append(character)
                }
            }
        }
        return "\"" + escaped.joined(separator: "\\n") + "\""
    }
}
