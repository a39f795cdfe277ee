public import KapsuleCore
internal import Ollama

/// Makes a model in Ollama's own form where images go: in a registry, a layout, an archive, the local store.
public struct OllamaImageExporter: Exporter {
    public let name = "ollama"
    private let destination: any ImageDestination
    private let options: ImageExporter.Options
    private let note: @Sendable (String) -> Void

    /// - Parameter note: hears what is left out.
    public init(
        to destination: any ImageDestination, _ options: ImageExporter.Options,
        note: @escaping @Sendable (String) -> Void
    ) {
        self.destination = destination
        self.options = options
        self.note = note
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        func refuse(_ what: String, _ remedy: String) -> KapsuleError {
            KapsuleError(.usage, id: "ollama.option", what, remedy: remedy)
        }
        if options.encryption != nil {
            throw refuse(
                "Ollama cannot read encrypted layers", "leave out ENCRYPT and --encryption-key, or use --format oci")
        }
        if options.base != nil {
            throw refuse("a model of Ollama's has no layers but the model's", "leave out --base, or use --format oci")
        }
        if options.platforms.count > 1 {
            throw refuse("a model of Ollama's is for no platform", "name one --platform at most, or use --format oci")
        }
        if options.compression != .none {
            throw refuse("the layers of Ollama's models are the files as they are", "leave out --compression")
        }
        if bundle.files.contains(where: { $0.part != nil }) {
            throw refuse("the layers of Ollama's models are whole files", "leave out --max-layer-size")
        }
        return try OllamaImageSession(bundle, to: destination, replaces: options.replaces, note: note)
    }
}
