public import Formats
public import KapsuleCore
internal import ModelfileParser

/// Which files of a model Ollama takes. It takes GGUF files, and no others.
public struct OllamaLayout: Sendable {
    /// Indices into the bundle's files.
    public let wanted: [Int]
    /// The others.
    public let skipped: [Int]
    private let bundle: ModelBundle
    private let adapters: Set<Int>
    private let drafts: Set<Int>

    /// - Throws: `.usage` for a model, an adapter or a draft without a GGUF file.
    public init(_ bundle: ModelBundle) throws {
        let wanted = try bundle.files.indices.filter { try Self.isGGUF(bundle.files[$0]) }
        guard !wanted.isEmpty else { throw Self.noGGUF(bundle) }
        self.bundle = bundle
        self.wanted = wanted
        skipped = bundle.files.indices.filter { !wanted.contains($0) }
        let modelfile = Parser.parse(bytes: bundle.modelfile, file: "Modelfile").modelfile
        adapters = try Self.files(of: .adapter, modelfile, bundle, among: wanted)
        drafts = try Self.files(of: .draft, modelfile, bundle, among: wanted)
    }

    /// By its name; a file at hand also by its first bytes, for Ollama's own blobs have no extension.
    private static func isGGUF(_ file: ModelBundle.File) throws -> Bool {
        if file.path.text.lowercased().hasSuffix(".gguf") { return true }
        guard file.source.isWatched, file.source.size >= 4, [.weights, .other].contains(file.role) else { return false }
        var head = MemorySink()
        try file.source.read(0..<4, into: &head)
        return GGUF.isLikely(head.bytes)
    }

    private static func noGGUF(_ bundle: ModelBundle) -> KapsuleError {
        let weights = bundle.files.first { $0.role == .weights }
        return KapsuleError(
            .usage, id: "ollama.no-gguf",
            "Ollama keeps models as GGUF files, and this one has none"
                + (weights.map { "; its weights are in \($0.path)" } ?? ""),
            remedy: "convert it with llama.cpp's convert_hf_to_gguf.py, and write FROM ./MODEL.gguf")
    }

    /// The GGUF files that a kind of line of the Modelfile names.
    private static func files(
        of word: InstructionWord, _ modelfile: Modelfile, _ bundle: ModelBundle, among wanted: [Int]
    ) throws -> Set<Int> {
        var all: Set<Int> = []
        for instruction in modelfile.instructions where instruction.word == word {
            let path = instruction.value.hasPrefix("./") ? String(instruction.value.dropFirst(2)) : instruction.value
            let found = wanted.filter {
                bundle.files[$0].path.text == path || bundle.files[$0].path.text.hasPrefix("\(path)/")
            }
            guard !found.isEmpty else {
                throw KapsuleError(
                    .usage, id: "ollama.no-gguf",
                    "Ollama keeps adapters and drafts as GGUF files, and \(word.rawValue) \(path) is none",
                    remedy: word == .adapter
                        ? "convert it with llama.cpp's convert_lora_to_gguf.py" : "name a GGUF file")
            }
            all.formUnion(found)
        }
        return all
    }

    /// The wanted files of a lane.
    public func wanted(in lane: Int) -> [Int] { bundle.lanes[lane].files.filter(wanted.contains) }

    /// What is left out, for people; nil where nothing is.
    public var skippedText: String? {
        guard !skipped.isEmpty else { return nil }
        let more = skipped.count > 3 ? " and \(skipped.count - 3) more" : ""
        return "Ollama keeps GGUF files and what the Modelfile says; left out: "
            + skipped.prefix(3).map { bundle.files[$0].path.text }.joined(separator: ", ") + more
    }

    /// Reads the headers of all wanted files.
    ///
    /// - Parameter source: where the file of that index is now.
    public func headers(_ source: (Int) throws -> any ByteSource) throws -> [Int: GGUF] {
        var headers: [Int: GGUF] = [:]
        for index in wanted {
            headers[index] = try GGUF(reading: try source(index), what: bundle.files[index].path.text)
        }
        return headers
    }

    /// The files in the order of the manifest.
    public struct Arrangement: Sendable {
        public let layers: [(file: Int, mediaType: String)]
        public let config: OllamaConfig
        /// The model's own chat template.
        public let chat: Chat
    }

    /// What a model's header says of conversations.
    public enum Chat: Sendable, Hashable {
        case none
        /// A template in Jinja of no family that has a template here.
        case unknown
        case known(ChatFamily)

        init(_ header: GGUF?) {
            guard let jinja = header?.chatTemplate, !jinja.isEmpty else {
                self = .none
                return
            }
            self = ChatFamily.of(jinja, endToken: header?.endToken).map(Chat.known) ?? .unknown
        }
    }

    /// Puts the files in order, by what is in them.
    ///
    /// - Parameter headers: of every wanted file.
    /// - Throws: `.usage` for what one manifest cannot hold: a model in parts, several models, several adapters.
    public func arranged(_ headers: [Int: GGUF]) throws -> Arrangement {
        let kinds = wanted.map { (file: $0, mediaType: mediaType(of: $0, headers[$0])) }
        func files(_ mediaType: String) -> [Int] { kinds.filter { $0.mediaType == mediaType }.map(\.file) }
        if let part = wanted.first(where: { headers[$0]?.split != nil }) { throw split(part) }
        let models = files(OllamaMediaType.model)
        guard models.count == 1 else { throw wrongCount(of: "model", models) }
        for (name, type) in [("adapter", OllamaMediaType.adapter), ("draft model", OllamaMediaType.draft)] {
            guard files(type).count <= 1 else { throw wrongCount(of: name, files(type)) }
        }
        let order = [
            OllamaMediaType.model, OllamaMediaType.projector, OllamaMediaType.adapter, OllamaMediaType.draft,
        ]
        return Arrangement(
            layers: order.flatMap { type in files(type).map { (file: $0, mediaType: type) } },
            config: OllamaConfig(
                models: models.compactMap { headers[$0] },
                draft: files(OllamaMediaType.draft).first.flatMap { headers[$0] }),
            chat: Chat(models.first.flatMap { headers[$0] }))
    }

    private func mediaType(of file: Int, _ header: GGUF?) -> String {
        if drafts.contains(file) { return OllamaMediaType.draft }
        if adapters.contains(file) { return OllamaMediaType.adapter }
        switch header?.kind {
        case .adapter: return OllamaMediaType.adapter
        case .projector: return OllamaMediaType.projector
        case .model, nil: return OllamaMediaType.model
        }
    }

    private func wrongCount(of name: String, _ files: [Int]) -> KapsuleError {
        let paths = files.prefix(3).map { bundle.files[$0].path.text }.joined(separator: ", ")
        return KapsuleError(
            .usage, id: "ollama.count",
            files.isEmpty
                ? "none of the GGUF files is a \(name), and Ollama wants one"
                : "Ollama takes one \(name), and there are \(files.count): \(paths)"
                    + (files.count > 3 ? " and more" : ""),
            remedy: files.isEmpty
                ? "add the model's own file with FROM ./MODEL.gguf"
                : "name one file in FROM, or leave the others out with EXCLUDE")
    }

    private func split(_ file: Int) -> KapsuleError {
        KapsuleError(
            .usage, id: "ollama.split",
            "\(bundle.files[file].path) says that it is one part of a model in several, and its name does not",
            remedy: "give the parts the names that llama.cpp gave them: NAME-00001-of-00003.gguf")
    }
}

extension ModelCard {
    /// With what Ollama adds for models of some architectures when it makes one, and with the template of the family that the
    /// model's own belongs to.
    ///
    /// Source: Ollama `server/create.go`, createModel, and `server/model.go`, detectChatTemplate.
    public func completed(for architecture: String, _ chat: OllamaLayout.Chat) -> ModelCard {
        let card = completed(for: architecture)
        guard card.template == nil, card.renderer == nil, case .known(let family) = chat else { return card }
        return card.completed(for: family)
    }

    private func completed(for chat: ChatFamily) -> ModelCard {
        var card = self
        card.template = chat.template
        if !parameters.contains(where: { $0.name == "stop" }) {
            card.parameters += chat.stops.map { Parameter(name: "stop", value: $0) }
        }
        return card
    }

    private func completed(for architecture: String) -> ModelCard {
        var card = self
        let name: String
        switch architecture {
        case "gemma4", "laguna": name = architecture
        case "nemotron_h", "nemotron_h_moe", "nemotron_h_omni": name = "nemotron-3-nano"
        default: return card
        }
        guard renderer == nil || parser == nil else { return card }
        card.renderer = renderer ?? name
        card.parser = parser ?? name
        if architecture == "gemma4", !parameters.contains(where: { $0.name == "stop" }) {
            card.parameters.append(Parameter(name: "stop", value: "<turn|>"))
        }
        return card
    }
}
