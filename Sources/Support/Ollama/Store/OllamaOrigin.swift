public import KapsuleCore
public import ModelfileParser
public import OCI

/// A model of an Ollama store, as an image that can be copied and checked like any other.
public struct OllamaOrigin: ImageOrigin {
    public let reference: Reference? = nil
    private let store: OllamaStore
    private let model: OllamaName
    private let manifest: RawManifest

    /// Nil where the store has no model of that name.
    public init?(_ name: OllamaName, in store: OllamaStore) throws {
        guard let manifest = try store.manifest(name) else { return nil }
        self.store = store
        self.manifest = manifest
        model = name
    }

    public var name: String { "ollama:\(model.short)" }
    public func root() throws -> RawManifest { manifest }

    public func manifest(_ descriptor: Descriptor) throws -> RawManifest {
        throw KapsuleError(
            .unverified, id: "ollama.index", "\(name) is an index, which Ollama has none of",
            remedy: "pull the model again")
    }

    public func blob(_ descriptor: Descriptor) throws -> any ByteSource { try store.blob(descriptor.artifact) }
}
