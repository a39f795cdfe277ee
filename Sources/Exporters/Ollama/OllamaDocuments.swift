internal import KapsuleCore
internal import KapsuleCrypto
internal import OCI
internal import Ollama

/// What Ollama is told of a model whose files have become blobs: the manifest, and the small blobs that it names.
///
/// Equal bundles give equal bytes, whether they go into Ollama's store or a registry.
struct OllamaDocuments {
    /// A blob of a text, of parameters or of the config.
    struct Small {
        let descriptor: Descriptor
        let bytes: [UInt8]

        init(_ mediaType: String, _ bytes: [UInt8]) {
            descriptor = Descriptor(mediaType: mediaType, digest: Digest.of(bytes), size: Int64(bytes.count))
            self.bytes = bytes
        }
    }

    /// A line of JSON.
    let manifest: [UInt8]
    /// The config last.
    let small: [Small]
    /// What the manifest names, the config last.
    let blobs: [Artifact]
    /// Layers with their names, in the order of the manifest.
    let outputs: [(name: String, artifact: Artifact)]

    /// - Parameters:
    ///   - weights: the blob of every file that is arranged.
    ///   - note: hears of a template that is added, or missed.
    init(
        _ bundle: ModelBundle, _ arrangement: OllamaLayout.Arrangement, _ weights: [Int: Artifact],
        note: (String) -> Void
    ) throws {
        // A model of Ollama's own was looked at when it was made.
        let chat = bundle.origin.isOllamas ? .none : arrangement.chat
        let card = bundle.card.completed(for: arrangement.config.modelFamily, chat)
        if let text = Self.remark(bundle.card, card, chat) { note(text) }
        var config = arrangement.config
        (config.renderer, config.parser, config.requires) = (card.renderer, card.parser, card.requires)
        let texts = try Self.texts(of: card)
        let configBlob = Small(MediaType.dockerConfig, config.bytes)
        let files = try arrangement.layers.map { layer in
            let path = bundle.files[layer.file].path.text
            guard let blob = weights[layer.file] else {
                throw KapsuleError(.defect, id: "ollama.blob-unknown", "\(path) was never written")
            }
            return (path, Descriptor(mediaType: layer.mediaType, digest: blob.digest, size: blob.size))
        }
        let layers = files + texts.map { (OllamaMediaType.title($0.descriptor.mediaType), $0.descriptor) }
        small = texts + [configBlob]
        outputs = layers.map { ($0, $1.artifact) }
        blobs = outputs.map(\.artifact) + [configBlob.descriptor.artifact]
        manifest = OllamaManifest(config: configBlob.descriptor, layers: layers.map { $1 }).bytes
    }

    private static func remark(_ own: ModelCard, _ card: ModelCard, _ chat: OllamaLayout.Chat) -> String? {
        guard own.template == nil, card.renderer == nil else { return nil }
        switch chat {
        case .known(let family) where card.template == family.template:
            return
                "the model's chat template is of the family '\(family.name)', whose template and stop words go with it"
                + "; a TEMPLATE line takes their place"
        case .unknown:
            return
                "the model's chat template is of no family that kapsule knows: Ollama before 0.30 needs a TEMPLATE line"
        case .known, .none: return nil
        }
    }

    /// The small layers, in the order of the manifest.
    private static func texts(of card: ModelCard) throws -> [Small] {
        var layers: [(mediaType: String, bytes: [UInt8]?)] = [
            (OllamaMediaType.template, card.template.map { Array($0.utf8) }),
            (OllamaMediaType.system, card.system.map { Array($0.utf8) }),
        ]
        layers += card.licenses.map { (OllamaMediaType.license, Array($0.utf8)) }
        layers.append((OllamaMediaType.parameters, try OllamaParameters.bytes(of: card.parameters)))
        layers.append((OllamaMediaType.messages, OllamaMessages.bytes(of: card.messages)))
        return layers.compactMap { layer in layer.bytes.map { Small(layer.mediaType, $0) } }
    }
}
