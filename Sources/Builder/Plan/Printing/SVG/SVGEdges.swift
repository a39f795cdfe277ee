/// The edges of a drawn plan: curves from right edges to left edges, through a common point where many meet many.
struct SVGEdges {
    private let layout: SVGLayout

    init(_ layout: SVGLayout) { self.layout = layout }

    /// One element a line.
    func elements(for bundles: [PlanShape.Bundle]) -> [String] {
        bundles.flatMap { bundle in
            draw(from: frames(bundle.inputs), to: frames(bundle.consumers))
        }
    }

    /// What stands for `nodes`, each once, in order.
    private func frames(_ nodes: [Int]) -> [SVGLayout.Frame] {
        var seen: Set<Int> = []
        return nodes.compactMap { layout.itemOf[$0] }.filter { seen.insert($0).inserted }
            .map { layout.items[$0].frame }
    }

    private func draw(from inputs: [SVGLayout.Frame], to consumers: [SVGLayout.Frame]) -> [String] {
        guard inputs.count > 1, consumers.count > 1 else {
            return inputs.flatMap { input in
                consumers.map { curve((input.right, input.midY), ($0.x, $0.midY), isArrow: true) }
            }
        }
        let left = inputs.map(\.right).max() ?? 0
        let right = consumers.map(\.x).min() ?? 0
        let middles = (inputs + consumers).map(\.midY)
        let point = ((left + right) / 2, middles.reduce(0, +) / middles.count)
        return inputs.map { curve(($0.right, $0.midY), point, isArrow: false) }
            + consumers.map { curve(point, ($0.x, $0.midY), isArrow: true) }
            + ["<circle class=\"joint\" cx=\"\(point.0)\" cy=\"\(point.1)\" r=\"4\"/>"]
    }

    private func curve(_ from: (x: Int, y: Int), _ to: (x: Int, y: Int), isArrow: Bool) -> String {
        // The arrow's head stands before the edge of the node.
        let end = to.x - (isArrow ? 7 : 0)
        let bend = max(16, (end - from.x) / 2)
        let path = "M\(from.x) \(from.y)C\(from.x + bend) \(from.y) \(end - bend) \(to.y) \(end) \(to.y)"
        return "<path class=\"edge\" d=\"\(path)\"\(isArrow ? " marker-end=\"url(#head)\"" : "")/>"
    }
}
