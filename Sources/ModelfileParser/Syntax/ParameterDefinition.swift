/// A parameter that a model can carry, and what its value must be.
///
/// Source: Ollama `api/types.go`, `Options` and `Runner`; `FormatParams` for how values are read.
public struct ParameterDefinition: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case integer, float, boolean
        /// Any text, and every line of it counts.
        case texts
    }

    /// Exact: Ollama knows no other case.
    public let name: String
    public let kind: Kind

    public static let all: [ParameterDefinition] = [
        .init(name: "num_ctx", kind: .integer),
        .init(name: "num_batch", kind: .integer),
        .init(name: "num_gpu", kind: .integer),
        .init(name: "main_gpu", kind: .integer),
        .init(name: "use_mmap", kind: .boolean),
        .init(name: "num_thread", kind: .integer),
        .init(name: "draft_num_predict", kind: .integer),
        .init(name: "num_keep", kind: .integer),
        .init(name: "seed", kind: .integer),
        .init(name: "num_predict", kind: .integer),
        .init(name: "top_k", kind: .integer),
        .init(name: "top_p", kind: .float),
        .init(name: "min_p", kind: .float),
        .init(name: "typical_p", kind: .float),
        .init(name: "repeat_last_n", kind: .integer),
        .init(name: "temperature", kind: .float),
        .init(name: "repeat_penalty", kind: .float),
        .init(name: "presence_penalty", kind: .float),
        .init(name: "frequency_penalty", kind: .float),
        .init(name: "stop", kind: .texts),
    ]

    /// Accepted by Ollama with a warning, and dropped.
    public static let deprecated: Set<String> = [
        "penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock", "mirostat", "mirostat_tau",
        "mirostat_eta",
    ]

    /// Once accepted, now unknown to Ollama.
    public static let removed: Set<String> = [
        "tfs_z", "numa", "num_gqa", "rope_frequency_base", "rope_frequency_scale", "embedding_only",
    ]

    /// The parameter of that name, if there is one today.
    public static func named(_ name: String) -> ParameterDefinition? { byName[name] }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}

extension ParameterDefinition {
    /// `value` in the one spelling of its meaning: integers in decimal digits, floats as the shortest decimal that gives
    /// the same 32 bits, `true` or `false`. Nil for a value that the parameter cannot take.
    public func canonical(_ value: String) -> String? {
        switch kind {
        case .integer: GoNumber.integer(value).map { String($0) }
        case .float: GoNumber.float(value).map(GoNumber.text)
        case .boolean: GoNumber.boolean(value).map { $0 ? "true" : "false" }
        case .texts: value
        }
    }
}
