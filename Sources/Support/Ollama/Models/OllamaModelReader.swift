internal import KapsuleCore
internal import ModelfileParser
internal import OCI

/// One reading of one manifest. Where a layer that can be there once is there twice, the later one counts.
///
/// Source: Ollama `server/images.go`, GetModel.
struct OllamaModelReader {
    /// Most bytes that the texts of one model may have: licences are long, and a manifest may name thousands.
    private static let mostText: Int64 = 64 << 20

    private let image: Image
    private(set) var config = OllamaConfig()
    private(set) var card = ModelCard()
    private(set) var files: [OllamaModel.File] = []
    private(set) var remarks: [String] = []

    init(_ image: Image) { self.image = image }

    private var name: String { image.origin.name }
    private var layers: [Descriptor] { image.manifest.content.layers }

    mutating func read() throws {
        guard OllamaModel.isOllama(image.manifest.content) else {
            throw KapsuleError(
                .usage, id: "ollama.no-model", "\(name) is no model of Ollama's: none of its layers is of its types",
                remedy: "write oci:// before the name of an OCI image")
        }
        try readConfig()
        try refuseTensors()
        try checkTexts()
        for layer in layers { try read(layer) }
        files = named(files)
        guard files.contains(where: { $0.role == .weights }) else {
            throw KapsuleError(
                .usage, id: "ollama.no-weights", "\(name) has no layer with a model in it",
                remedy: "pull the model again with 'ollama pull'")
        }
    }

    private mutating func readConfig() throws {
        let decoded = try OllamaConfig.decode(try image.configBytes(), what: "the config of \(name)")
        if let host = decoded.remoteHost, !host.isEmpty {
            throw KapsuleError(
                .usage, id: "ollama.remote",
                "\(name) has no weights: it runs as \(decoded.remoteModel ?? "a model") at \(host)",
                remedy: "name a model that is on this machine")
        }
        config = decoded.config
        card.renderer = Self.present(config.renderer)
        card.parser = Self.present(config.parser)
        card.requires = Self.present(config.requires)
    }

    private static func present(_ text: String?) -> String? { text?.isEmpty == false ? text : nil }

    private func refuseTensors() throws {
        let count = layers.filter { $0.mediaType == OllamaMediaType.tensor }.count
        guard count > 0 || config.modelFormat == "safetensors" else { return }
        throw KapsuleError(
            .usage, id: "ollama.tensors",
            "\(name) is stored as \(count) single tensors for MLX, not as a GGUF file",
            remedy: "build from the model's own repository: FROM hf://ORG/NAME")
    }

    private func checkTexts() throws {
        let files = [OllamaMediaType.model, OllamaMediaType.projector, OllamaMediaType.adapter, OllamaMediaType.draft]
        var sum: Int64 = 0
        for layer in layers where !files.contains(layer.mediaType) {
            let (total, overflow) = sum.addingReportingOverflow(layer.size)
            guard !overflow, total <= Self.mostText else {
                throw KapsuleError(
                    .unverified, id: "ollama.text-limit",
                    "\(name) has more than \(ByteCount.text(Self.mostText)) of texts beside its weights",
                    remedy: "do not use this model: no proper one has as much")
            }
            sum = total
        }
    }

    private mutating func read(_ layer: Descriptor) throws {
        switch layer.mediaType {
        case OllamaMediaType.model: add(layer, .weights, .from)
        case OllamaMediaType.projector: add(layer, .projector, .from)
        case OllamaMediaType.adapter: add(layer, .adapter, .adapter)
        case OllamaMediaType.draft: add(layer, .weights, .draft)
        case OllamaMediaType.template, OllamaMediaType.prompt:
            card.template = Self.present(try OllamaModel.text(layer, of: image))
        case OllamaMediaType.system: card.system = Self.present(try OllamaModel.text(layer, of: image))
        case OllamaMediaType.license: card.licenses.append(try OllamaModel.text(layer, of: image))
        case OllamaMediaType.parameters: try readParameters(layer)
        case OllamaMediaType.messages:
            card.messages = try OllamaMessages.decode(
                try OllamaModel.bytes(layer, of: image), what: "the messages of \(name)")
        default: remarks.append("\(name) has a layer of the unknown type \(layer.mediaType), which is left out")
        }
    }

    private mutating func readParameters(_ layer: Descriptor) throws {
        let (parameters, ignored) = try OllamaParameters.decode(
            try OllamaModel.bytes(layer, of: image), what: "the params of \(name)")
        card.parameters = parameters
        if !ignored.isEmpty {
            remarks.append(
                "\(name) has parameters that today's Ollama does not know: \(ignored.joined(separator: ", "))")
        }
    }

    private mutating func add(_ layer: Descriptor, _ role: ModelBundle.Role, _ word: InstructionWord) {
        if word == .draft || role == .weights { files.removeAll { $0.word == word && $0.role == role } }
        files.append(OllamaModel.File(path: "", role: role, word: word, descriptor: layer))
    }

    /// `model.gguf`, `mmproj.gguf`, `adapter.gguf`, `draft.gguf`; the second of a kind is `mmproj-2.gguf`.
    private func named(_ files: [OllamaModel.File]) -> [OllamaModel.File] {
        var counts: [String: Int] = [:]
        return files.map { file in
            let stem =
                switch (file.role, file.word) {
                case (.projector, _): "mmproj"
                case (.adapter, _): "adapter"
                case (_, .draft): "draft"
                default: "model"
                }
            counts[stem, default: 0] += 1
            let number = counts[stem] == 1 ? "" : "-\(counts[stem] ?? 1)"
            return OllamaModel.File(
                path: "\(stem)\(number).gguf", role: file.role, word: file.word, descriptor: file.descriptor)
        }
    }
}
