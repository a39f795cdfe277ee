internal import Builder
internal import FoundationEssentials
internal import Hub
internal import KapsuleCore
internal import ModelfileParser
internal import Store

/// `FROM hf://ORG/NAME@REVISION`.
struct HubSource {
    let toolbox: Toolbox
    /// Whether what earlier builds found out counts for nothing.
    let noCache: Bool

    /// - Parameter wants: which files are wanted; others are not fetched.
    func find(_ reference: HubReference, _ wants: (BundlePath) -> Bool) throws -> FoundModel {
        let client = try toolbox.hub()
        let (cache, forgets) = (try toolbox.digestCache(), noCache)
        let memory = HubMemory(
            recall: { forgets ? nil : cache.contentDigest(ofGitBlob: $0, size: $1) },
            remember: { cache.recordGitBlob($0, $1) })
        var chosen: [HubEntry] = []
        let model = try client.model(reference.repository, revision: reference.revision, memory: memory) { entries in
            chosen = try GGUFChoice(reference).chosen(from: entries)
            return chosen.filter { wants($0.path) }
        }
        if !model.isListed {
            toolbox.note(
                "note: the hub's cache has no list of the files of \(model.repository) at commit "
                    + "\(model.commit.prefix(12)): the model is what is there, \(model.files.count) files")
        }
        return FoundModel(
            name: model.repository, revision: model.commit,
            origin: Origin(
                url: model.url, revision: model.commit, title: model.repository, licenses: model.licenses),
            candidates: model.files.map { file in
                FoundModel.Candidate(
                    file: ModelBundle.File(path: file.path, role: Role.of(file.path), source: file.source),
                    identity: "hub/\(model.repository)/\(model.commit)/\(file.path)")
            },
            modelfile: try GGUFChoice(reference).modelfile(chosen, card: card(model)))
    }

    /// What a directory is that is one commit in a cache of the hub's client: the model that FROM hf:// would give.
    func known(directory: String) throws -> ModelResolver.KnownDirectory? {
        guard let snapshot = HubSnapshot(directory: directory) else { return nil }
        return ModelResolver.KnownDirectory(
            name: snapshot.repository, revision: snapshot.commit,
            origin: try origin(of: snapshot.repository, at: snapshot.commit, licenses: snapshot.licenses()))
    }

    /// - Parameter card: the model's README.md; nil where it has none.
    func origin(of reference: HubReference, card: (any ByteSource)?) throws -> Origin {
        try origin(
            of: reference.repository, at: reference.revision ?? "", licenses: card.flatMap(HubLicenses.text(ofCard:)))
    }

    private func origin(of repository: String, at commit: String, licenses: String?) throws -> Origin {
        let url = try toolbox.hub().settings.page(of: repository, at: commit)
        return Origin(url: url, revision: commit, title: repository, licenses: licenses)
    }

    /// What Ollama takes from files called `template`, `system` and `params`.
    ///
    /// Source: huggingface.co/docs/hub/ollama, "Custom Chat Template and Parameters".
    private func card(_ model: HubModel) throws -> ModelCard {
        func text(_ name: String) throws -> String? {
            guard let file = model.files.first(where: { $0.path.text == name }), file.source.size <= 1 << 20 else {
                return nil
            }
            return String(decoding: try file.source.readAll(limit: 1 << 20, what: name), as: UTF8.self)
        }
        var card = ModelCard()
        card.template = try text("template")
        card.system = try text("system")
        for parameter in HubParameters.read(try text("params") ?? "{}") {
            let line = Parser.parse("FROM .\nPARAMETER \(parameter.name) \"\(parameter.value)\"\n", file: "params")
            if line.errors.isEmpty {
                card.parameters.append(parameter)
            } else {
                let name = Printable.text(parameter.name.prefix(40))
                toolbox.note("warning: params of \(model.repository) sets '\(name)', which is passed by")
            }
        }
        return card
    }
}

/// Which of a repository's GGUF files Ollama's spelling means.
///
/// Source: huggingface.co/docs/hub/ollama, "Custom quantization".
struct GGUFChoice {
    /// What is taken where nobody says: the first of these that is there.
    private static let usual = ["Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q8_0", "BF16", "F16"]

    let reference: HubReference

    init(_ reference: HubReference) { self.reference = reference }

    /// The files without the other quantisations, and without weights in other formats; all of them where the reference
    /// means all, or there is no GGUF file.
    ///
    /// - Throws: `.unavailable` where no file has the quantisation asked for.
    func chosen(from entries: [HubEntry]) throws -> [HubEntry] {
        let models = entries.filter { Self.isGGUF($0.path) && !Self.isProjector($0.path) }
        guard reference.quantisation != nil || (reference.isOllamaName && !models.isEmpty) else { return entries }
        let wanted = try reference.quantisation.map { try asked($0, models) } ?? usual(models)
        let kept = Set(wanted.map(\.path) + projector(entries).map(\.path))
        return entries.filter { kept.contains($0.path) || !Self.isWeights($0.path) }
    }

    /// `FROM ./model.gguf` for what was chosen, and the card; nil where all is the model.
    func modelfile(_ chosen: [HubEntry], card: @autoclosure () throws -> ModelCard) throws -> Modelfile? {
        let files = chosen.map(\.path).filter(Self.isGGUF)
        guard reference.quantisation != nil || reference.isOllamaName, !files.isEmpty else { return nil }
        let text = try Modelfile.synthesised(
            card: try card(), from: files.map { "./\($0)" }, adapters: [], drafts: [])
        return try Parser.parse(text, file: reference.repository).checked()
    }

    private func asked(_ name: String, _ models: [HubEntry]) throws -> [HubEntry] {
        let upper = name.uppercased()
        // Either all of a file's name, or its quantisation.
        let exact = models.filter { $0.path.name.uppercased() == upper || $0.path.name.uppercased() == upper + ".GGUF" }
        let found = exact.isEmpty ? models.filter { Self.quantisation(of: $0.path) == upper } : exact
        guard found.isEmpty else { return found }
        let known = Set(models.compactMap { Self.quantisation(of: $0.path) }).sorted()
        throw KapsuleError(
            .unavailable, id: "hub.quantisation",
            "\(reference.repository) has no GGUF file with the quantisation '\(name)'",
            remedy: known.isEmpty
                ? "leave ':\(name)' out: it has no GGUF file at all" : "it has \(known.joined(separator: ", "))")
    }

    private func usual(_ models: [HubEntry]) -> [HubEntry] {
        for name in Self.usual {
            let found = models.filter { Self.quantisation(of: $0.path) == name }
            if !found.isEmpty { return found }
        }
        guard let first = models.first else { return [] }
        let name = Self.quantisation(of: first.path)
        return name == nil ? [first] : models.filter { Self.quantisation(of: $0.path) == name }
    }

    /// The one for images, of several the one of half precision.
    private func projector(_ entries: [HubEntry]) -> [HubEntry] {
        let found = entries.filter { Self.isGGUF($0.path) && Self.isProjector($0.path) }
        let half = found.filter { ["F16", "BF16"].contains(Self.quantisation(of: $0.path)) }
        return Array((half.isEmpty ? found : half).prefix(1))
    }

    private static func isGGUF(_ path: BundlePath) -> Bool { path.name.lowercased().hasSuffix(".gguf") }
    private static func isProjector(_ path: BundlePath) -> Bool { path.name.lowercased().contains("mmproj") }

    private static func isWeights(_ path: BundlePath) -> Bool {
        isGGUF(path) || [.weights, .adapter, .projector].contains(Role.of(path))
    }

    /// `Q4_K_M` of `dir/Model-7B.Q4_K_M-00001-of-00002.gguf`; nil for a name without one. Upper case.
    static func quantisation(of path: BundlePath) -> String? {
        let words = path.name.uppercased().dropLast(5).split { "-.".contains($0) }
        return words.last { word in
            let isQuantised = ["Q", "IQ", "TQ"].contains { prefix in
                word.hasPrefix(prefix) && word.dropFirst(prefix.count).first.map { "0123456789".contains($0) } ?? false
            }
            return isQuantised || ["F16", "F32", "BF16", "MXFP4"].contains(word)
        }.map(String.init)
    }
}

/// The file `params`: a JSON object of numbers, Booleans, texts, and lists of them.
enum HubParameters {
    private enum Value: Decodable {
        case one(String), several([String])

        init(from decoder: any Decoder) throws {
            if let list = try? decoder.singleValueContainer().decode([String].self) {
                self = .several(list)
            } else {
                self = .one(try Self.scalar(decoder.singleValueContainer()))
            }
        }

        private static func scalar(_ container: any SingleValueDecodingContainer) throws -> String {
            if let value = try? container.decode(Bool.self) { return String(value) }
            if let value = try? container.decode(Int64.self) { return String(value) }
            if let value = try? container.decode(Double.self) { return String(value) }
            return try container.decode(String.self)
        }
    }

    /// Ascending by name; empty for what is no such object.
    static func read(_ text: String) -> [ModelCard.Parameter] {
        guard let values = try? JSONDecoder().decode([String: Value].self, from: Data(text.utf8)) else { return [] }
        return values.sorted { $0.key < $1.key }.flatMap { name, value in
            switch value {
            case .one(let text): [ModelCard.Parameter(name: name, value: text)]
            case .several(let texts): texts.map { ModelCard.Parameter(name: name, value: $0) }
            }
        }
    }
}
