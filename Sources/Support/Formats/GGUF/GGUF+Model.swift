extension GGUF {
    /// What a file is for, as Ollama tells it.
    public enum Kind: String, Sendable {
        case model, adapter, projector
    }

    /// Source: Ollama `server/create.go`: by `general.type`, else by what encoders there are.
    public var kind: Kind {
        switch self["general.type"]?.text {
        case "adapter": return .adapter
        case "projector", "mmproj": return .projector
        default: break
        }
        if own("vision.block_count") != nil, own("block_count") == nil { return .projector }
        let hasEncoder = ["clip.has_vision_encoder", "clip.has_audio_encoder"].contains { self[$0]?.isTrue == true }
        return architecture == "clip" && hasEncoder ? .projector : .model
    }

    /// `llama`; nil for a file that says nothing.
    public var architecture: String? { self["general.architecture"]?.text }

    /// A key below the architecture's name: `own("context_length")` is `llama.context_length`.
    public func own(_ key: String) -> Value? { architecture.flatMap { self["\($0).\(key)"] } }

    /// Tokens.
    public var contextLength: Int64? { own("context_length")?.integer }
    public var embeddingLength: Int64? { own("embedding_length")?.integer }
    public var blockCount: Int64? { own("block_count")?.integer }

    /// Numbers in all tensors.
    public var parameterCount: Int64 {
        tensors.reduce(0) { sum, tensor in
            let (sum, overflow) = sum.addingReportingOverflow(tensor.elements)
            return overflow ? .max : sum
        }
    }

    /// As Ollama prints it: `Q4_K_M`; `unknown` where it would.
    ///
    /// Only a uint32 counts, and 0, which is F32, does not.
    ///
    /// Source: Ollama `fs/ggml/type.go`, observed with every number from 0 to 1024.
    public var fileType: String {
        guard case .uint32(let number)? = self["general.file_type"] else { return "unknown" }
        return Self.fileTypes[number] ?? "unknown"
    }

    private static let fileTypes: [UInt32: String] = [
        1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
        13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
        20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
        28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0",
        38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0",
    ]

    /// The type that most numbers are stored in; nil without tensors. Of two with as many, the one with the lower number.
    public var mainTensorType: TensorType? {
        var elements: [TensorType: Int64] = [:]
        for tensor in tensors {
            let sum = elements[tensor.type, default: 0].addingReportingOverflow(tensor.elements)
            elements[tensor.type] = sum.overflow ? .max : sum.partialValue
        }
        return elements.max { ($0.value, $1.key.number) < ($1.value, $0.key.number) }?.key
    }

    // MARK: The tokenizer

    /// The key of the vocabulary, for whoever wants its tokens kept.
    public static let tokensKey = "tokenizer.ggml.tokens"

    /// Jinja; nil without one.
    public var chatTemplate: String? { self["tokenizer.chat_template"]?.text }

    /// Further templates by name, ascending: `tool_use`.
    public var namedChatTemplates: [(name: String, text: String)] {
        let prefix = "tokenizer.chat_template."
        return metadata.compactMap { entry in
            guard entry.key.hasPrefix(prefix), let text = entry.value.text else { return nil }
            return (String(entry.key.dropFirst(prefix.utf8.count)), text)
        }.sorted { $0.name < $1.name }
    }

    /// Number of the token that begins a text.
    public var beginToken: Int64? { self["tokenizer.ggml.bos_token_id"]?.integer }
    /// Number of the token that ends one.
    public var endToken: Int64? { self["tokenizer.ggml.eos_token_id"]?.integer }

    /// How many tokens there are; nil without a vocabulary.
    public var vocabularySize: Int64? {
        guard case .array(let tokens)? = self[Self.tokensKey] else { return nil }
        return tokens.count
    }

    /// The text of a token, where the vocabulary was kept.
    public func token(_ number: Int64) -> String? {
        guard case .array(let tokens)? = self[Self.tokensKey], let elements = tokens.elements,
            let index = Int(exactly: number), elements.indices.contains(index)
        else { return nil }
        return elements[index].text
    }

    // MARK: Split models

    /// Which part of how many this is, counted from 0; nil for a model in one file.
    public var split: (number: Int64, count: Int64)? {
        guard let count = self["split.count"]?.integer, count > 1 else { return nil }
        return (self["split.no"]?.integer ?? 0, count)
    }
}
