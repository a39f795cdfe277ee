internal import FoundationEssentials
public import KapsuleCore

/// The messages of a model: a JSON array.
///
/// Source: Ollama `api/types.go`, Message; observed.
public enum OllamaMessages {
    /// A line of compact JSON; nil without messages, for there is no layer then.
    public static func bytes(of messages: [ModelCard.Message]) -> [UInt8]? {
        guard !messages.isEmpty else { return nil }
        return GoJSON.array(
            messages.map { .object([("role", .string($0.role)), ("content", .string($0.text))]) }
        ).line
    }

    /// - Throws: `.unverified` for what is no such blob; `.usage` for messages that a Modelfile cannot hold.
    public static func decode(_ bytes: [UInt8], what: String) throws -> [ModelCard.Message] {
        let wire = try OllamaDocument.decode([Wire].self, from: bytes, what: what)
        return try wire.map { message in
            let role = message.role.lowercased()
            guard ["system", "user", "assistant"].contains(role), message.isPlain else {
                throw KapsuleError(
                    .usage, id: "ollama.message",
                    "\(what) hold a message that no Modelfile can: one of '\(role)'"
                        + (message.isPlain ? "" : " with pictures, tool calls or thoughts"),
                    remedy: "make the model again without it: MESSAGE takes system, user and assistant, and text")
            }
            return ModelCard.Message(role: role, text: message.content ?? "")
        }
    }

    private struct Wire: Decodable {
        let role: String
        let content: String?
        let thinking, tool_name, tool_call_id: String?
        let images, tool_calls: [Anything]?

        var isPlain: Bool {
            [thinking, tool_name, tool_call_id].allSatisfy { $0?.isEmpty ?? true }
                && [images, tool_calls].allSatisfy { $0?.isEmpty ?? true }
        }
    }

    private struct Anything: Decodable { init(from decoder: any Decoder) throws {} }
}
