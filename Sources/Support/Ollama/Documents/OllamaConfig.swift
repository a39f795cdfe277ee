public import Formats
internal import KapsuleCore

/// What Ollama knows of a model without opening it: the config blob.
///
/// Source: Ollama `types/model/config.go`; observed.
public struct OllamaConfig: Sendable, Hashable {
    public var modelFormat = "gguf"
    /// The architecture of the model.
    public var modelFamily = ""
    /// That of every layer that is a model; nil where there is none.
    public var modelFamilies: [String]?
    /// How many parameters, as people say it: `8.0B`.
    public var modelType = ""
    /// The quantisation: `Q4_K_M`, `unknown`.
    public var fileType = ""
    public var renderer: String?
    public var parser: String?
    /// The oldest Ollama that can run the model.
    public var requires: String?
    /// The architecture of the draft model, where there is one.
    public var draftArchitecture: String?

    public init() {}

    /// A line of compact JSON. Architecture and OS are the same everywhere, whatever runs the model.
    public var bytes: [UInt8] {
        var members: [(name: String, value: GoJSON)] = [
            ("model_format", .string(modelFormat)), ("model_family", .string(modelFamily)),
            ("model_families", .array((modelFamilies ?? []).map(GoJSON.string))), ("model_type", .string(modelType)),
            ("file_type", .string(fileType)),
        ]
        let optional = [("renderer", renderer), ("parser", parser), ("requires", requires)]
        members += optional.compactMap { name, value in
            value.flatMap { $0.isEmpty ? nil : (name, .string($0)) }
        }
        if let draftArchitecture {
            members.append(
                ("draft", .object([("model_format", .string("gguf")), ("architecture", .string(draftArchitecture))])))
        }
        return GoJSON.object(members + [("architecture", .string("amd64")), ("os", .string("linux"))]).line
    }

    /// What somebody else's config says. Members that kapsule has no use for are passed by.
    ///
    /// - Throws: `.unverified` for what is no such config.
    public static func decode(_ bytes: [UInt8], what: String) throws -> Decoded {
        let wire = try OllamaDocument.decode(Wire.self, from: bytes, what: what)
        var config = OllamaConfig()
        config.modelFormat = wire.model_format ?? ""
        config.modelFamily = wire.model_family ?? ""
        config.modelFamilies = wire.model_families
        config.modelType = wire.model_type ?? ""
        config.fileType = wire.file_type ?? ""
        (config.renderer, config.parser, config.requires) = (wire.renderer, wire.parser, wire.requires)
        config.draftArchitecture = wire.draft?.architecture
        return Decoded(config: config, remoteHost: wire.remote_host, remoteModel: wire.remote_model)
    }

    /// A config, and where the model is when it is not here at all.
    public struct Decoded: Sendable, Hashable {
        public let config: OllamaConfig
        public let remoteHost: String?
        public let remoteModel: String?
    }

    private struct Wire: Decodable {
        let model_format, model_family, model_type, file_type: String?
        let model_families: [String]?
        let renderer, parser, requires, remote_host, remote_model: String?
        let draft: Draft?
        struct Draft: Decodable { let architecture: String? }
    }
}

extension OllamaConfig {
    /// The fields that come out of the headers of a model's files.
    ///
    /// - Parameters:
    ///   - models: every layer that is a model; the first one gives family, size and quantisation.
    ///   - draft: the draft model's.
    public init(models: [GGUF], draft: GGUF?) {
        self.init()
        modelFamilies = models.map { Self.architecture(of: $0) }
        draftArchitecture = draft.map { Self.architecture(of: $0) }
        guard let first = models.first else { return }
        modelFamily = Self.architecture(of: first)
        modelType = ParameterCount.text(first.parameterCount)
        fileType = first.fileType
    }

    private static func architecture(of file: GGUF) -> String {
        file.architecture.flatMap { $0.isEmpty ? nil : $0 } ?? "unknown"
    }
}
