/// A plan for Mermaid, as Markdown shows it on code hosts: a flowchart from left to right.
struct PlanMermaid {
    /// Groups from this size on are a box with one edge in and one out: Mermaid stops at 500 edges.
    static let boxedFrom = 9

    let plan: Plan

    init(_ plan: Plan) { self.plan = plan }

    func rendered() -> String {
        let shape = PlanShape(plan)
        var lines = ["flowchart LR"]
        var nameOf: [Int: String] = [:]
        for (index, group) in shape.groups.enumerated() {
            let nodes = group.members.map(node)
            guard group.members.count >= Self.boxedFrom else {
                for member in group.members { nameOf[member] = "n\(member + 1)" }
                lines += nodes.map { "    " + $0 }
                continue
            }
            for member in group.members { nameOf[member] = "g\(index + 1)" }
            let title = PlanTotals.counted(group.members.count, group.kind.rawValue.lowercased())
            lines += ["    subgraph g\(index + 1)[\"\(title)\"]"] + nodes.map { "        " + $0 } + ["    end"]
        }
        for bundle in shape.bundles {
            lines.append("    \(Self.set(bundle.inputs, nameOf)) --> \(Self.set(bundle.consumers, nameOf))")
        }
        return (lines + Self.classes(of: plan)).joined(separator: "\n") + "\n"
    }

    private func node(_ index: Int) -> String {
        let node = plan.nodes[index]
        let label = NodeLabel(node)
        let text = [label.summary, label.title, label.detail].compactMap(\.self).map(Self.escaped)
            .joined(separator: "<br/>")
        let mark = label.isCached ? "Cached" : ""
        return "n\(index + 1)[\"\(text)\"]:::\(node.step.kind.rawValue.lowercased())\(mark)"
    }

    /// `a & b`, each name once.
    private static func set(_ nodes: [Int], _ nameOf: [Int: String]) -> String {
        var names: [String] = []
        for name in nodes.compactMap({ nameOf[$0] }) where !names.contains(name) { names.append(name) }
        return names.joined(separator: " & ")
    }

    private static func classes(of plan: Plan) -> [String] {
        guard !plan.nodes.isEmpty else { return [] }
        return [
            "    classDef source fill:#dbe7ff,stroke:#3b6fd4,color:#1b2436",
            "    classDef transfer fill:#fff0d1,stroke:#c98a1b,color:#1b2436",
            "    classDef transferCached fill:#f4efe4,stroke:#c98a1b,color:#6b6557,stroke-dasharray:4 3",
            "    classDef commit fill:#d8f3e3,stroke:#2e9b63,color:#1b2436",
            "    classDef commitCached fill:#e8f1ec,stroke:#2e9b63,color:#5f6b64,stroke-dasharray:4 3",
        ]
    }

    /// A part of a quoted label: everything that Mermaid, the Markdown or the HTML in it could take for its own
    /// becomes an entity. A colon too: Mermaid misreads `style…:…#…;`. And what begins a list in Markdown.
    ///
    /// Source: Mermaid, "Flowcharts", entity codes to escape characters; `encodeEntities` in its `utils.ts`.
    private static func escaped(_ text: String) -> String {
        var isNumber = true
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "#", "&", "<", ">", ";", ":", "`", "*", "~", "\\", "[", "]", "{", "}", "|", "$":
                result += "#\(scalar.value);"
            case "." where isNumber, "-" where result.isEmpty, "+" where result.isEmpty:
                result += "#\(scalar.value);"
            default: result.unicodeScalars.append(scalar)
            }
            isNumber = isNumber && ("0"..."9").contains(scalar)
        }
        return result
    }
}
