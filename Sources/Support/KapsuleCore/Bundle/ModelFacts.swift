internal import Synchronization

/// What a model's own files say of it: headers and configs, never weights. Everything may be unknown.
public struct ModelFacts: Sendable, Hashable {
    /// Of the weights.
    public enum Format: String, Sendable {
        case gguf, safetensors, pytorch
    }

    public var format: Format?
    /// The class that runs it: `llama` of a GGUF file, `LlamaForCausalLM` of a config.json.
    public var architecture: String?
    /// What it descends from: `llama`, `qwen3`.
    public var family: String?
    /// As the model calls itself: `Qwen3 0.6B`.
    public var name: String?
    /// Numbers in its tensors; without those of adapters, projectors and draft models.
    public var parameters: Int64?
    /// `Q4_K_M`, `awq`, `gptq`, `fp8`; nil for weights as they were trained, and where nothing is said.
    public var quantisation: String?
    /// The types of its numbers as PyTorch writes them, the most frequent first: `bfloat16`, `float8_e4m3`.
    public var precisions: [String] = []
    /// Tokens.
    public var contextLength: Int64?
    public var embeddingLength: Int64?
    /// An SPDX identifier, where a file names one: `apache-2.0`.
    public var license: String?
    /// Jinja.
    public var chatTemplate: String?

    public init() {}
}

/// Facts that are found out when somebody first asks: an output that needs none costs no reading of headers.
public final class ModelFactsSource: Sendable {
    private let read: @Sendable () throws -> ModelFacts
    private let known = Mutex<ModelFacts?>(nil)

    /// - Parameter read: is called at most once, unless it throws.
    public init(_ read: @escaping @Sendable () throws -> ModelFacts) { self.read = read }

    public func facts() throws -> ModelFacts {
        try known.withLock { known in
            if let known { return known }
            let facts = try read()
            known = facts
            return facts
        }
    }
}
