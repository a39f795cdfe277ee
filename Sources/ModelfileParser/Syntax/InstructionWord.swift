/// The words a line of a Modelfile can begin with. Case does not matter in the file.
public enum InstructionWord: String, Sendable, Hashable, CaseIterable {
    case from = "FROM"
    case parameter = "PARAMETER"
    case template = "TEMPLATE"
    case system = "SYSTEM"
    case adapter = "ADAPTER"
    case license = "LICENSE"
    case message = "MESSAGE"
    case renderer = "RENDERER"
    case parser = "PARSER"
    case requires = "REQUIRES"
    case draft = "DRAFT"
    case exclude = "EXCLUDE"
    case encrypt = "ENCRYPT"

    /// Whether the word is ours: Ollama refuses a file that has it.
    public var isOurs: Bool { self == .exclude || self == .encrypt }

    /// Whether the value is prose or a template, often of several lines.
    var takesText: Bool {
        switch self {
        case .template, .system, .license, .message: true
        case .from, .parameter, .adapter, .renderer, .parser, .requires, .draft, .exclude, .encrypt: false
        }
    }

    /// Whether of several lines with the word only the last one counts.
    var isSingle: Bool {
        switch self {
        case .template, .system, .adapter, .renderer, .parser, .requires: true
        case .from, .parameter, .license, .message, .draft, .exclude, .encrypt: false
        }
    }

    static let list = allCases.map(\.rawValue).joined(separator: ", ")
}
