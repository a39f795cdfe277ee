public import KapsuleCore
internal import KapsuleCrypto
public import ModelfileParser
public import OCI

/// A model as its manifest describes it, wherever the blobs are: what a Modelfile would say of it, and its files.
public struct OllamaModel: Sendable {
    /// Longest text of a layer that is read into memory, in bytes.
    private static let longestText: Int64 = 16 << 20

    /// A GGUF file of the model.
    public struct File: Sendable {
        /// What it is called beside a Modelfile: Ollama keeps no names.
        public let path: String
        public let role: ModelBundle.Role
        /// The word of the Modelfile that names it.
        public let word: InstructionWord
        public let descriptor: Descriptor
    }

    public let config: OllamaConfig
    public let card: ModelCard
    public let files: [File]
    /// What was passed by, for people.
    public let remarks: [String]

    /// Reads config and texts; weights are not touched.
    ///
    /// - Throws: `.usage` for what is no model of Ollama's, or one that is not kept in GGUF files; `.unverified` for damage.
    public init(reading image: Image) throws {
        var reader = OllamaModelReader(image)
        try reader.read()
        config = reader.config
        card = reader.card
        files = reader.files
        remarks = reader.remarks
    }

    /// Whether an image is a model of Ollama's.
    public static func isOllama(_ manifest: Manifest) -> Bool {
        manifest.layers.contains { OllamaMediaType.isOllama($0.mediaType) }
    }

    /// The Modelfile that makes this model, of files that lie beside it.
    ///
    /// - Parameter wants: which files there will be.
    /// - Throws: `.usage` for a model that says what no Modelfile can hold.
    public func modelfile(named name: String, keeping wants: (BundlePath) throws -> Bool) throws -> Modelfile {
        func paths(_ word: InstructionWord) throws -> [String] {
            try files.filter { try $0.word == word && wants(try BundlePath(validating: $0.path)) }.map {
                "./\($0.path)"
            }
        }
        let from = try paths(.from)
        let text = try Modelfile.synthesised(
            card: card, from: from.isEmpty ? ["."] : from, adapters: try paths(.adapter), drafts: try paths(.draft))
        let modelfile = try Parser.parse(text, file: "Modelfile of \(name)").checked()
        guard modelfile.card == card else {
            throw KapsuleError(
                .usage, id: "modelfile.unprintable-value",
                "no Modelfile can hold what \(name) says of itself: written down and read again it is something else",
                remedy: "make the model again, without control characters in its texts")
        }
        return modelfile
    }

    static func text(_ descriptor: Descriptor, of image: Image) throws -> String {
        let what = "the \(OllamaMediaType.title(descriptor.mediaType)) of \(image.origin.name)"
        return try OllamaDocument.text(try bytes(descriptor, of: image), what: what)
    }

    static func bytes(_ descriptor: Descriptor, of image: Image) throws -> [UInt8] {
        let what = "the \(OllamaMediaType.title(descriptor.mediaType)) of \(image.origin.name)"
        let bytes = try image.origin.blob(descriptor).readAll(limit: longestText, what: what)
        guard Digest.of(bytes) == descriptor.digest else {
            throw KapsuleError(
                .unverified, id: "content.mismatch", "\(what) is not what the manifest promises",
                remedy: "the store or the registry is damaged: make the model or pull it again")
        }
        return bytes
    }
}
