/// Aligned columns of text, as `ls` and `plan` print them.
public struct TextTable: Sendable {
    public struct Column: Sendable {
        let title: String
        let isRight: Bool
        let maximum: Int

        /// - Parameter maximum: columns of the terminal; longer cells keep their two ends.
        public static func left(_ title: String, maximum: Int = .max) -> Column {
            Column(title: title, isRight: false, maximum: maximum)
        }

        /// Aligned at the right, as numbers are.
        public static func right(_ title: String) -> Column { Column(title: title, isRight: true, maximum: .max) }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    public init(_ columns: Column...) { self.columns = columns }

    /// Adds a row. Its cells may hold anything; control characters are escaped.
    public mutating func add(_ cells: String...) {
        precondition(cells.count == columns.count, "a row has a cell for every column")
        rows.append(zip(cells, columns).map { DisplayWidth.elided(Printable.text($0), to: $1.maximum) })
    }

    /// Titles and rows, each line with its newline and without blanks at its end. Columns that are empty throughout
    /// are left out. Empty without rows.
    public func rendered() -> String {
        guard !rows.isEmpty else { return "" }
        let shown = columns.indices.filter { column in rows.contains { !$0[column].isEmpty } }
        let lines = (columns.contains { !$0.title.isEmpty } ? [columns.map(\.title)] : []) + rows
        let widths = columns.indices.map { column in lines.map { DisplayWidth.of($0[column]) }.max() ?? 0 }
        return lines.map { line in
            let cells = shown.map { column in
                columns[column].isRight
                    ? DisplayWidth.indented(line[column], to: widths[column])
                    : DisplayWidth.padded(line[column], to: widths[column])
            }
            let text = cells.joined(separator: "  ")
            return String(text[..<(text.lastIndex { $0 != " " }.map(text.index(after:)) ?? text.startIndex)]) + "\n"
        }.joined()
    }
}
