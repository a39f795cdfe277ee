internal import Builder
internal import Exporters
internal import KapsuleCore

/// What a build would move, file by file: for models that are elsewhere, or were.
struct MovementForecast {
    private enum State: String {
        /// Every output has it.
        case present = "there already"
        /// Known from an earlier build: read only where an output has lost it.
        case known = "asked for first"
        case fetched = "to fetch"
        case cached = "in the hub's cache"
        case local = "on this machine"
    }

    private let rows: [(file: ModelBundle.File, state: State)]

    init(_ prepared: Workshop.Prepared) {
        let bundle = prepared.bundle
        var states: [Int: State] = [:]
        for (lane, files) in bundle.lanes.map(\.files).enumerated() {
            let foresights = prepared.sessions.map { $0.foresee(lane: lane) }
            for index in files { states[index] = Self.state(bundle.files[index].source, foresights) }
        }
        rows = bundle.files.indices.map { (bundle.files[$0], states[$0] ?? .local) }
    }

    private static func state(_ source: any ByteSource, _ foresights: [Foresight]) -> State {
        func isThere(_ foresight: Foresight) -> Bool { if case .present = foresight { true } else { false } }
        func isRead(_ foresight: Foresight) -> Bool { if case .reads = foresight { true } else { false } }
        if !foresights.isEmpty, foresights.allSatisfy(isThere) { return .present }
        if !foresights.isEmpty, !foresights.contains(where: isRead) { return .known }
        switch source.place {
        case .here: return .local
        case .cache: return .cached
        case .elsewhere: return .fetched
        }
    }

    /// Empty for a model that is here.
    func rendered() -> String {
        guard rows.contains(where: { $0.file.source.place != .here }) else { return "" }
        var table = TextTable(.left("FILE", maximum: 68), .right("SIZE"), .left("STATE"))
        for row in rows { table.add(row.file.path.text, ByteCount.text(row.file.source.size), row.state.rawValue) }
        let fetched = rows.filter { $0.state == .fetched }
        let bytes = fetched.reduce(0) { $0 + $1.file.source.size }
        return "\n" + table.rendered()
            + "\n\(fetched.count) of \(rows.count) files to fetch · \(ByteCount.text(bytes))\n"
    }
}
