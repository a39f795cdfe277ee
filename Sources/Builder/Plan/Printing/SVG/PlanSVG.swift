internal import KapsuleCore

/// A plan as a picture: one SVG file, no script, no font of its own, the same bytes every time.
struct PlanSVG {
    private typealias Metrics = SVGLayout.Metrics
    private typealias Frame = SVGLayout.Frame

    private let plan: Plan
    private let shape: PlanShape
    private let layout: SVGLayout

    init(_ plan: Plan) {
        self.plan = plan
        shape = PlanShape(plan)
        layout = SVGLayout(plan, shape)
    }

    func rendered() -> String {
        let (width, height) = (layout.width, layout.height)
        let totals = plan.nodes.isEmpty ? "nothing to do" : PlanTotals(plan).text
        let lines =
            [
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\" "
                    + "viewBox=\"0 0 \(width) \(height)\" role=\"img\" aria-label=\"Build plan: \(totals)\">",
                "<style>", SVGStyle.css, "</style>", SVGStyle.definitions,
                "<rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"\(width - 1)\" height=\"\(height - 1)\" rx=\"14\"/>",
                text("title", x: Metrics.margin, y: 44, "Build plan"),
                text("totals", x: Metrics.margin, y: 66, totals),
            ] + SVGEdges(layout).elements(for: shape.bundles) + layout.items.flatMap(elements) + legend + ["</svg>"]
        return lines.joined(separator: "\n") + "\n"
    }

    private func elements(of item: SVGLayout.Item) -> [String] {
        switch item {
        case .card(let card): self.card(card)
        case .box(let box): self.box(box)
        }
    }

    private func card(_ card: SVGLayout.Card) -> [String] {
        let (frame, label) = (card.frame, card.label)
        let x = frame.x + Metrics.cardPadding
        let right = frame.right - Metrics.cardPadding
        let columns = (frame.width - 2 * Metrics.cardPadding) * 100 / Metrics.cardColumn
        let title = DisplayWidth.elided(label.title, to: columns)
        var lines = open(card.node, label) + plate(frame, radius: 10, isCached: label.isCached)
        lines.append(text("heading", x: x, y: frame.y + 21, label.heading))
        if let size = label.size {
            lines.append(text("size", x: right - (label.isCached ? 16 : 0), y: frame.y + 21, size, isEnd: true))
        }
        if label.isCached { lines.append(check(x: right - 10, y: frame.y + 13)) }
        let room = (frame.width - 2 * Metrics.cardPadding) * 100 / Metrics.smallColumn
        if let detail = label.detail {
            lines.append(text("name", x: x, y: frame.y + 41, title))
            lines.append(text("detail", x: x, y: frame.y + 59, DisplayWidth.elided(detail, to: room)))
        } else {
            lines.append(text("name", x: x, y: frame.y + 47, title))
        }
        return lines + ["</g>"]
    }

    private func box(_ box: SVGLayout.Box) -> [String] {
        let frame = box.frame
        var lines = [
            "<g class=\"\(box.kind.rawValue.lowercased())\">", rect("box", frame, radius: 12),
            text("box-title", x: frame.x + Metrics.boxPadding, y: frame.y + 26, box.title),
        ]
        let sizes = box.members.compactMap { plan.nodes[$0].step.size }
        if !sizes.isEmpty {
            let total = ByteCount.text(sizes.reduce(0, +))
            lines.append(text("size", x: frame.right - Metrics.boxPadding, y: frame.y + 26, total, isEnd: true))
        }
        for (index, label) in box.labels.enumerated() {
            lines += cell(box.cell(index), box.members[index], label, box.texts[index])
        }
        return lines + ["</g>"]
    }

    private func cell(_ frame: Frame, _ node: Int, _ label: NodeLabel, _ name: String) -> [String] {
        var lines = open(node, label, more: "cell") + plate(frame, radius: 6, isCached: label.isCached)
        lines.append(text("name", x: frame.x + 9, y: frame.y + 17, name))
        let right = frame.right - 9
        if let size = label.size {
            lines.append(text("size", x: right - (label.isCached ? 14 : 0), y: frame.y + 17, size, isEnd: true))
        }
        if label.isCached { lines.append(check(x: right - 9, y: frame.y + 9)) }
        return lines + ["</g>"]
    }

    /// The group of a node, with all that is known of it as its tooltip.
    private func open(_ node: Int, _ label: NodeLabel, more: String? = nil) -> [String] {
        let step = plan.nodes[node].step
        let classes = [more, step.kind.rawValue.lowercased(), label.isCached ? "cached" : nil].compactMap(\.self)
        let outputs = step.kind == .commit || step.outputs.isEmpty ? nil : "→ " + step.outputs.joined(separator: ", ")
        let full = ["\(node + 1) \(label.heading)", step.subject, label.size, label.isCached ? "cached" : nil, outputs]
            .compactMap(\.self)
        return [
            "<g class=\"\(classes.joined(separator: " "))\">",
            "<title>\(full.map { XMLText.escaped(Printable.text($0)) }.joined(separator: "\n"))</title>",
        ]
    }

    private func plate(_ frame: Frame, radius: Int, isCached: Bool) -> [String] {
        [rect("plate", frame, radius: radius)]
            + (isCached ? [rect("plate-hatch", frame, radius: radius, more: " fill=\"url(#hatch)\"")] : [])
    }

    private var legend: [String] {
        let y = layout.height - 30
        var x = Metrics.margin
        var lines: [String] = []
        let kinds = StepKind.allCases.filter { kind in plan.nodes.contains { $0.step.kind == kind } }
        for kind in kinds {
            lines += swatch(kind.rawValue.lowercased(), kind.rawValue.lowercased(), isCached: false, x: &x, y: y)
        }
        if plan.nodes.contains(where: \.isShownAsCached) {
            lines += swatch("transfer", "cached: nothing to read", isCached: true, x: &x, y: y)
        }
        return lines
    }

    private func swatch(_ name: String, _ label: String, isCached: Bool, x: inout Int, y: Int) -> [String] {
        let frame = Frame(x: x, y: y - 11, width: 22, height: 14)
        let lines =
            ["<g class=\"\(name)\">"] + plate(frame, radius: 4, isCached: isCached)
            + (isCached ? [check(x: x + 7, y: y - 8)] : []) + [text("legend", x: x + 30, y: y, label), "</g>"]
        x += 30 + label.count * 7 + 18
        return lines
    }

    private func rect(_ name: String, _ frame: Frame, radius: Int, more: String = "") -> String {
        "<rect class=\"\(name)\" x=\"\(frame.x)\" y=\"\(frame.y)\" width=\"\(frame.width)\" height=\"\(frame.height)\""
            + " rx=\"\(radius)\"\(more)/>"
    }

    private func check(x: Int, y: Int) -> String {
        "<path class=\"check\" d=\"M\(x) \(y + 4)l3 3l6 -6\"/>"
    }

    private func text(_ name: String, x: Int, y: Int, _ text: String, isEnd: Bool = false) -> String {
        "<text class=\"\(name)\" x=\"\(x)\" y=\"\(y)\"\(isEnd ? " text-anchor=\"end\"" : "")>"
            + XMLText.escaped(text) + "</text>"
    }
}
