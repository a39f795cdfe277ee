internal import KapsuleCore
public import OCI

/// The manifest of a model: Docker's schema 2, as a line of compact JSON.
///
/// Source: Ollama `manifest/manifest.go`; observed.
public struct OllamaManifest: Sendable, Hashable {
    public var config: Descriptor
    public var layers: [Descriptor]

    public init(config: Descriptor, layers: [Descriptor]) {
        self.config = config
        self.layers = layers
    }

    /// As `ollama create` writes it. Its SHA-256 is the model's ID.
    public var bytes: [UInt8] {
        GoJSON.object([
            ("schemaVersion", .integer(2)), ("mediaType", .string(MediaType.dockerManifest)),
            ("config", Self.json(config)), ("layers", .array(layers.map(Self.json))),
        ]).line
    }

    private static func json(_ descriptor: Descriptor) -> GoJSON {
        .object([
            ("mediaType", .string(descriptor.mediaType)), ("digest", .string(descriptor.digest.description)),
            ("size", .integer(descriptor.size)),
        ])
    }
}
