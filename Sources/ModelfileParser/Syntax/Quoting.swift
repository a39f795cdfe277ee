/// How a value stands in the text.
public enum Quoting: Sendable, Hashable, CaseIterable {
    case bare
    /// `"…"`
    case double
    /// `"""…"""`
    case triple

    /// What opens and closes the value.
    public var mark: String {
        switch self {
        case .bare: ""
        case .double: "\""
        case .triple: "\"\"\""
        }
    }
}
