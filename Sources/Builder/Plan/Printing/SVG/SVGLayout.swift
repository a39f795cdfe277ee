internal import KapsuleCore

/// Where everything of a drawn plan is, in pixels: columns from the left, sources, transfers, commits.
struct SVGLayout {
    struct Frame: Equatable {
        var x = 0
        var y = 0
        var width = 0
        var height = 0
        var midY: Int { y + height / 2 }
        var right: Int { x + width }
        var bottom: Int { y + height }
    }

    /// One node on its own.
    struct Card {
        let node: Int
        let label: NodeLabel
        var frame = Frame()
    }

    /// Many nodes that only their names tell apart, in a grid with one edge in and one out.
    struct Box {
        let members: [Int]
        let kind: StepKind
        let title: String
        let labels: [NodeLabel]
        let texts: [String]
        let rows: Int
        var frame = Frame()
        let cellWidth: Int

        /// Filled downwards, so that neighbours stay neighbours.
        func cell(_ index: Int) -> Frame {
            Frame(
                x: frame.x + Metrics.boxPadding + index / rows * (cellWidth + Metrics.cellGap),
                y: frame.y + Metrics.boxHeader + index % rows * (Metrics.cellHeight + Metrics.cellGap),
                width: cellWidth, height: Metrics.cellHeight)
        }
    }

    enum Item {
        case card(Card)
        case box(Box)

        var frame: Frame {
            get {
                switch self {
                case .card(let card): card.frame
                case .box(let box): box.frame
                }
            }
            set {
                switch self {
                case .card(var card):
                    card.frame = newValue
                    self = .card(card)
                case .box(var box):
                    box.frame = newValue
                    self = .box(box)
                }
            }
        }
        var members: [Int] {
            switch self {
            case .card(let card): [card.node]
            case .box(let box): box.members
            }
        }
    }

    enum Metrics {
        static let margin = 32
        static let header = 92
        static let footer = 64
        static let columnGap = 104
        static let itemGap = 18
        static let cardHeight = 70
        static let cardPadding = 16
        static let cardWidths = 190...380
        /// Groups from this size on are a box: the second, where the column would be higher than `tallColumn` cards.
        static let boxedFrom = (alone: 7, crowded: 3)
        static let tallColumn = 8
        static let boxPadding = 14
        static let boxHeader = 42
        static let cellHeight = 26
        static let cellGap = 6
        /// Longest names in cells, in columns of text: where few cells are beside each other, and where many are.
        static let cellColumns = (few: 34, many: 26)
        static let minimumWidth = 620
        /// Width of one column of the fixed-width font, in hundredths of a pixel: cards have 13 px, cells 11 px.
        static let cardColumn = 783
        static let cellColumn = 663
        static let smallColumn = 620
    }

    private(set) var items: [Item] = []
    private(set) var width = 0
    private(set) var height = 0
    /// Index into `items` by node.
    private(set) var itemOf: [Int: Int] = [:]

    init(_ plan: Plan, _ shape: PlanShape) {
        let labels = plan.nodes.map(NodeLabel.init)
        var columns: [Int: [Item]] = [:]
        let counts = shape.layers.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
        for group in shape.groups {
            let layer = shape.layers[group.members[0]]
            let isCrowded = counts[layer, default: 0] > Metrics.tallColumn
            columns[layer, default: []] += Self.items(of: group, labels, isCrowded: isCrowded)
        }
        place(columns.sorted { $0.key < $1.key }.map(\.value))
        for (index, item) in items.enumerated() { for member in item.members { itemOf[member] = index } }
    }

    private static func items(
        of group: PlanShape.Group, _ labels: [NodeLabel], isCrowded: Bool
    ) -> [Item] {
        guard group.members.count >= (isCrowded ? Metrics.boxedFrom.crowded : Metrics.boxedFrom.alone) else {
            return group.members.map { .card(card($0, labels[$0])) }
        }
        return [.box(box(group, group.members.map { labels[$0] }))]
    }

    private static func card(_ node: Int, _ label: NodeLabel) -> Card {
        let text = DisplayWidth.of(label.title) * Metrics.cardColumn / 100
        let small = (DisplayWidth.of(label.heading) + DisplayWidth.of(label.size ?? "") + 8) * Metrics.smallColumn / 100
        let detail = DisplayWidth.of(label.detail ?? "") * Metrics.smallColumn / 100
        let width = max(text, small, detail) + 2 * Metrics.cardPadding + 2
        let clamped = min(max(width, Metrics.cardWidths.lowerBound), Metrics.cardWidths.upperBound)
        return Card(node: node, label: label, frame: Frame(width: clamped, height: Metrics.cardHeight))
    }

    private static func box(_ group: PlanShape.Group, _ labels: [NodeLabel]) -> Box {
        let count = labels.count
        // About three times as high as wide, in cells, and at most six beside each other.
        let columns = (1...6).first { $0 * $0 * 6 >= count } ?? 6
        let rows = (count + columns - 1) / columns
        let room = columns > 3 ? Metrics.cellColumns.many : Metrics.cellColumns.few
        let texts = CellLabels(labels.map(\.title), columns: room).texts
        let sizes = labels.map { DisplayWidth.of($0.size ?? "") }.max() ?? 0
        let columnsOfText = (texts.map { DisplayWidth.of($0) }.max() ?? 0) + (sizes > 0 ? sizes + 2 : 0) + 2
        let cellWidth = columnsOfText * Metrics.cellColumn / 100 + 20
        // The last column may stay empty when the rows were rounded up.
        let used = (count + rows - 1) / rows
        let frame = Frame(
            width: used * cellWidth + (used - 1) * Metrics.cellGap + 2 * Metrics.boxPadding,
            height: Metrics.boxHeader + rows * (Metrics.cellHeight + Metrics.cellGap) - Metrics.cellGap
                + Metrics.boxPadding)
        let title = PlanTotals.counted(count, group.kind.rawValue.lowercased())
        return Box(
            members: group.members, kind: group.kind, title: title, labels: labels, texts: texts, rows: rows,
            frame: frame, cellWidth: cellWidth)
    }

    /// Everything in a column is equally wide, so that no edge runs behind a neighbour; columns are centred between top
    /// and bottom.
    private mutating func place(_ columns: [[Item]]) {
        var x = Metrics.margin
        let heights = columns.map { column in
            column.reduce(-Metrics.itemGap) { $0 + $1.frame.height + Metrics.itemGap }
        }
        let tallest = heights.max() ?? 0
        for (column, height) in zip(columns, heights) {
            let widest = column.map(\.frame.width).max() ?? 0
            var y = Metrics.header + (tallest - height) / 2
            for var item in column {
                if case .card = item { item.frame.width = widest }
                item.frame.x = x
                item.frame.y = y
                y += item.frame.height + Metrics.itemGap
                items.append(item)
            }
            x += widest + Metrics.columnGap
        }
        width = max(Metrics.minimumWidth, x - Metrics.columnGap + Metrics.margin)
        self.height = Metrics.header + tallest + Metrics.footer
        // A narrow plan stands in the middle.
        let slack = (width - (x - Metrics.columnGap + Metrics.margin)) / 2
        if !columns.isEmpty, slack > 0 { for index in items.indices { items[index].frame.x += slack } }
    }
}
