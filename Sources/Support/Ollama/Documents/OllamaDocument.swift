internal import FoundationEssentials
internal import KapsuleCore

/// Reading the JSON that others wrote.
enum OllamaDocument {
    static func decode<Wire: Decodable>(_ type: Wire.Type, from bytes: [UInt8], what: String) throws -> Wire {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch is DecodingError {
            throw KapsuleError(
                .unverified, id: "ollama.document", "\(what) is not what Ollama writes there",
                remedy: "fetch the model again with 'ollama pull'")
        }
    }

    /// Text that has to be UTF-8.
    static func text(_ bytes: [UInt8], what: String) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw KapsuleError(
                .unverified, id: "ollama.encoding", "\(what) is not UTF-8",
                remedy: "fetch the model again with 'ollama pull'")
        }
        return text
    }
}
