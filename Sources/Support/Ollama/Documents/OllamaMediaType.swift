/// What the layers of an Ollama model hold.
///
/// Source: Ollama `server/create.go`, `server/images.go`, `manifest/layer.go`.
public enum OllamaMediaType {
    private static let prefix = "application/vnd.ollama.image."

    public static let model = prefix + "model"
    public static let projector = prefix + "projector"
    public static let adapter = prefix + "adapter"
    public static let draft = prefix + "draft"
    public static let template = prefix + "template"
    /// What a template was called once. Read, never written.
    public static let prompt = prefix + "prompt"
    public static let system = prefix + "system"
    public static let parameters = prefix + "params"
    public static let messages = prefix + "messages"
    public static let license = prefix + "license"
    /// A tensor, or a group of them, of a model that MLX runs.
    public static let tensor = prefix + "tensor"
    /// A JSON file of such a model.
    public static let json = prefix + "json"

    /// Whether it is one of Ollama's own.
    public static func isOllama(_ type: String) -> Bool { type.hasPrefix(prefix) }

    /// `model` of `application/vnd.ollama.image.model`; the whole type where it is not Ollama's.
    public static func title(_ type: String) -> String { isOllama(type) ? String(type.dropFirst(prefix.count)) : type }
}
