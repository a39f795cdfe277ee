public import KapsuleCore
public import ModelfileParser
public import Ollama

/// Puts a model into the directory that Ollama keeps models in. Ollama may be running.
public struct OllamaExporter: Exporter {
    public struct Options: Sendable {
        public let store: OllamaStore
        /// What the model is called there; may be several.
        public let names: [OllamaName]
        /// Whether names of other models are taken over.
        public var replaces = false
        public var memory = BlobMemory.none
        /// Hears what is left out.
        public var note: @Sendable (String) -> Void = { _ in }

        public init(store: OllamaStore, names: [OllamaName]) {
            precondition(!names.isEmpty, "a model in Ollama's store has a name")
            self.store = store
            self.names = names
        }
    }

    public let name = "ollama"
    private let options: Options

    public init(_ options: Options) { self.options = options }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession { try OllamaSession(bundle, options) }
}

/// What earlier runs have found out about the content of files on disk.
public struct BlobMemory: Sendable {
    /// SHA-256 of the file at a path, if it was hashed before and has not changed.
    public let recall: @Sendable (String) -> Digest?
    /// Remembers it.
    ///
    /// - Parameter start: when hashing began, in nanoseconds since 1970.
    public let remember: @Sendable (_ path: String, Digest, _ start: Int64) -> Void

    public init(
        recall: @escaping @Sendable (String) -> Digest?,
        remember: @escaping @Sendable (_ path: String, Digest, _ start: Int64) -> Void
    ) {
        self.recall = recall
        self.remember = remember
    }

    /// Remembers nothing.
    public static let none = BlobMemory(recall: { _ in nil }, remember: { _, _, _ in })
}
