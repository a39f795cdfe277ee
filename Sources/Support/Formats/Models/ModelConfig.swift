public import KapsuleCore

/// What `config.json` says of a model for transformers and vLLM.
///
/// Source: transformers `configuration_utils.py`; names of older models from their configuration classes.
public struct ModelConfig: Sendable, Hashable {
    /// Longest that is read, in bytes. Label tables of classifiers are in it.
    public static let limit: Int64 = 16 << 20

    /// The classes that run it: `LlamaForCausalLM`.
    public var architectures: [String] = []
    /// `llama`.
    public var modelType: String?
    /// `bfloat16`; without the `torch.` of some.
    public var dataType: String?
    /// Tokens.
    public var contextLength: Int64?
    public var embeddingLength: Int64?
    public var layerCount: Int64?
    public var vocabularySize: Int64?
    /// How the weights are quantised: `awq`, `gptq`, `fp8`, `bitsandbytes`.
    public var quantisation: String?
    /// Bits of a quantised number.
    public var quantisationBits: Int64?
    public var transformersVersion: String?
    /// Python classes of the repository that are run where a user allows it, from `auto_map`.
    public var customCode: [String] = []

    /// - Throws: `.unverified` for what is no JSON object.
    public init(reading source: any ByteSource, what: String) throws {
        var scanner = try JSONScanner(document: source, what: what, limit: Self.limit)
        try scanner.requireObject(what)
        var text = Sizes()
        var own = Sizes()
        try scanner.object { name, scanner in
            switch name {
            case "architectures": architectures = try Self.texts(&scanner)
            case "model_type": modelType = try scanner.text(limit: 1024)
            case "quantization_config", "compression_config": try readQuantisation(&scanner)
            case "transformers_version": transformersVersion = try scanner.text(limit: 1024)
            case "auto_map": customCode = try Self.code(&scanner)
            case "text_config", "llm_config", "language_config": text = try Sizes(&scanner)
            default: try own.take(name, &scanner)
            }
        }
        try scanner.finish()
        // A model that sees has the sizes of its language model one level below.
        own.complete(from: text)
        dataType = own.dataType
        contextLength = own.context
        embeddingLength = own.embedding
        layerCount = own.layers
        vocabularySize = own.vocabulary
    }

    private static func texts(_ scanner: inout JSONScanner) throws -> [String] {
        guard try scanner.kind() == .array else {
            try scanner.skip()
            return []
        }
        var texts: [String] = []
        try scanner.array { scanner in
            if let text = try scanner.text(limit: 1024), texts.count < 64 { texts.append(text) }
        }
        return texts
    }

    private mutating func readQuantisation(_ scanner: inout JSONScanner) throws {
        guard try scanner.kind() == .object else { return try scanner.skip() }
        try scanner.object { name, scanner in
            switch name {
            case "quant_method": quantisation = try scanner.text(limit: 1024)
            case "bits": quantisationBits = try scanner.unsigned().flatMap { Int64(exactly: $0) }
            case "load_in_4bit": if try scanner.bool() == true { quantisationBits = 4 }
            case "load_in_8bit": if try scanner.bool() == true { quantisationBits = 8 }
            default: try scanner.skip()
            }
        }
    }

    private static func code(_ scanner: inout JSONScanner) throws -> [String] {
        guard try scanner.kind() == .object else {
            try scanner.skip()
            return []
        }
        var classes: Set<String> = []
        try scanner.object { _, scanner in
            if try scanner.kind() == .array {
                classes.formUnion(try texts(&scanner))
            } else if let name = try scanner.text(limit: 1024), classes.count < 64 {
                classes.insert(name)
            }
        }
        return classes.sorted()
    }

    /// What stands on one level.
    private struct Sizes {
        var dataType: String?
        var context: Int64?
        var embedding: Int64?
        var layers: Int64?
        var vocabulary: Int64?

        init() {}

        init(_ scanner: inout JSONScanner) throws {
            guard try scanner.kind() == .object else {
                try scanner.skip()
                return
            }
            try scanner.object { name, scanner in try take(name, &scanner) }
        }

        mutating func take(_ name: String, _ scanner: inout JSONScanner) throws {
            switch name {
            case "torch_dtype", "dtype":
                let text = try scanner.text(limit: 64)
                dataType = text.map { $0.hasPrefix("torch.") ? String($0.dropFirst(6)) : $0 } ?? dataType
            case "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "n_ctx":
                // GPT-2 has two of them; they say the same.
                context = try Self.number(&scanner) ?? context
            case "hidden_size", "n_embd", "d_model": embedding = try Self.number(&scanner) ?? embedding
            case "num_hidden_layers", "n_layer", "num_layers": layers = try Self.number(&scanner) ?? layers
            case "vocab_size": vocabulary = try Self.number(&scanner) ?? vocabulary
            default: try scanner.skip()
            }
        }

        mutating func complete(from other: Sizes) {
            dataType = dataType ?? other.dataType
            context = context ?? other.context
            embedding = embedding ?? other.embedding
            layers = layers ?? other.layers
            vocabulary = vocabulary ?? other.vocabulary
        }

        private static func number(_ scanner: inout JSONScanner) throws -> Int64? {
            try scanner.unsigned().flatMap { Int64(exactly: $0) }
        }
    }
}

/// What `tokenizer_config.json` says.
public struct TokenizerConfig: Sendable, Hashable {
    /// Longest that is read, in bytes. Some list every added token.
    public static let limit: Int64 = 64 << 20

    /// Jinja; the default one where there are several.
    public var chatTemplate: String?
    /// Names of further templates, ascending: `tool_use`.
    public var namedTemplates: [String] = []
    public var beginToken: String?
    public var endToken: String?
    public var tokenizerClass: String?

    /// - Throws: `.unverified` for what is no JSON object.
    public init(reading source: any ByteSource, what: String) throws {
        var scanner = try JSONScanner(document: source, what: what, limit: Self.limit)
        try scanner.requireObject(what)
        try scanner.object { name, scanner in
            switch name {
            case "chat_template": try readTemplates(&scanner)
            case "bos_token": beginToken = try Self.token(&scanner)
            case "eos_token": endToken = try Self.token(&scanner)
            case "tokenizer_class": tokenizerClass = try scanner.text(limit: 1024)
            default: try scanner.skip()
            }
        }
        try scanner.finish()
        namedTemplates.sort()
    }

    /// A text, or a list of templates with names.
    private mutating func readTemplates(_ scanner: inout JSONScanner) throws {
        guard try scanner.kind() == .array else {
            chatTemplate = try scanner.text(limit: 4 << 20)
            return
        }
        try scanner.array { scanner in
            guard try scanner.kind() == .object else { return try scanner.skip() }
            var name: String?
            var template: String?
            try scanner.object { member, scanner in
                switch member {
                case "name": name = try scanner.text(limit: 1024)
                case "template": template = try scanner.text(limit: 4 << 20)
                default: try scanner.skip()
                }
            }
            if name == "default" {
                chatTemplate = template
            } else if let name, namedTemplates.count < 64 {
                namedTemplates.append(name)
            }
        }
    }

    /// A text, or an object with one.
    private static func token(_ scanner: inout JSONScanner) throws -> String? {
        guard try scanner.kind() == .object else { return try scanner.text(limit: 4096) }
        var token: String?
        try scanner.object { name, scanner in
            if name == "content" { token = try scanner.text(limit: 4096) } else { try scanner.skip() }
        }
        return token
    }
}
