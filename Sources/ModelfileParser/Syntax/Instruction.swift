public import KapsuleCore

/// One instruction of a Modelfile, with where each of its parts stands.
public struct Instruction: Sendable, Hashable {
    /// What it says.
    public let content: Content
    /// How its value is written. In EXCLUDE and ENCRYPT that decides what the value means.
    public let quoting: Quoting
    /// From its word to the end of its value, or of the first line where the value goes on over several.
    public let span: SourceSpan
    public let wordSpan: SourceSpan
    /// The name of a PARAMETER, the role of a MESSAGE.
    public let nameSpan: SourceSpan?
    /// The value with its quotes; as much of it as is on its first line.
    public let valueSpan: SourceSpan
    /// The line its value ends on.
    public let lastLine: Int
    /// The comments and blank lines between the instruction before and this one.
    public let leading: [Trivia]

    public enum Content: Sendable, Hashable {
        /// A path or a reference: `SourceReference` tells which.
        case from(String)
        case parameter(name: String, value: String)
        case template(String)
        /// Empty means "not set".
        case system(String)
        case adapter(String)
        case license(String)
        case message(role: MessageRole, text: String)
        case renderer(String)
        case parser(String)
        case requires(String)
        case draft(String)
        /// `raw` is the whole value; `patterns` is what it means.
        case exclude(patterns: [Word], raw: String)
        /// No patterns: for every file.
        case encrypt(recipient: Word, patterns: [Word], raw: String)
    }

    public enum MessageRole: String, Sendable, Hashable, CaseIterable { case system, user, assistant }

    /// One of several words in a value, and where it stands.
    public struct Word: Sendable, Hashable {
        public let text: String
        public let span: SourceSpan
    }

    /// What stands between instructions and means nothing to a machine.
    public enum Trivia: Sendable, Hashable {
        /// From `#` on, without blanks at the end.
        case comment(String)
        /// One or more lines with nothing on them.
        case blankLine
    }
}

extension Instruction {
    public var word: InstructionWord {
        switch content {
        case .from: .from
        case .parameter: .parameter
        case .template: .template
        case .system: .system
        case .adapter: .adapter
        case .license: .license
        case .message: .message
        case .renderer: .renderer
        case .parser: .parser
        case .requires: .requires
        case .draft: .draft
        case .exclude: .exclude
        case .encrypt: .encrypt
        }
    }

    /// The value as it was written, without quotes; of a MESSAGE, the text.
    public var value: String {
        switch content {
        case .from(let value), .template(let value), .system(let value), .adapter(let value), .license(let value),
            .renderer(let value), .parser(let value), .requires(let value), .draft(let value),
            .parameter(_, let value), .message(_, let value), .exclude(_, let value), .encrypt(_, _, let value):
            value
        }
    }

    /// What Ollama's parser calls it: `model` for FROM, a parameter's own name, otherwise the word in lower case.
    public var ollamaName: String {
        switch content {
        case .from: "model"
        case .parameter(let name, _): name
        default: word.rawValue.lowercased()
        }
    }

    /// The value that goes with `ollamaName`: of a MESSAGE, `role: text`.
    public var ollamaValue: String {
        guard case .message(let role, let text) = content else { return value }
        return "\(role.rawValue): \(text)"
    }
}
