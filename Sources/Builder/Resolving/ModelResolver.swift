internal import Formats
public import KapsuleCore
internal import KapsuleIO
public import ModelfileParser
public import OCI
public import Store

/// Turns the names in a Modelfile into files that cannot move: the only place that asks what something *is*.
public struct ModelResolver: Sendable {
    /// What else than the local disk a FROM can name.
    public struct Sources: Sendable {
        /// Finds the model a reference names outside of images; nil when that is not what it names. The closure it is
        /// given says which files are wanted.
        public let model: @Sendable (SourceReference, (BundlePath) -> Bool) throws -> FoundModel?
        /// Opens the image a reference names; nil when there is none of that name.
        public let image: @Sendable (SourceReference) throws -> Image?
        /// Brings a layer, verified and uncompressed, to where any range of it can be read.
        public let fetch: @Sendable (Image, Descriptor) throws -> any ByteSource
        /// Finds a model that has only a bare name in the registry that Ollama would ask; nil when it has none. Asked last.
        public let distant: @Sendable (String, (BundlePath) -> Bool) throws -> FoundModel?
        /// What is known of a directory by its path, which is absolute and without links; nil for any other.
        public let directory: @Sendable (String) throws -> KnownDirectory?
        /// Hears what a person may want to know.
        public let note: @Sendable (String) -> Void

        public init(
            model: @escaping @Sendable (SourceReference, (BundlePath) -> Bool) throws -> FoundModel?,
            image: @escaping @Sendable (SourceReference) throws -> Image?,
            fetch: @escaping @Sendable (Image, Descriptor) throws -> any ByteSource,
            distant: @escaping @Sendable (String, (BundlePath) -> Bool) throws -> FoundModel? = { _, _ in nil },
            directory: @escaping @Sendable (String) throws -> KnownDirectory? = { _ in nil },
            note: @escaping @Sendable (String) -> Void = { _ in }
        ) {
            self.directory = directory
            self.model = model
            self.image = image
            self.fetch = fetch
            self.distant = distant
            self.note = note
        }
    }

    /// A directory that is some model at some revision.
    public struct KnownDirectory: Sendable {
        public let name: String
        public let revision: String
        public let origin: Origin

        public init(name: String, revision: String, origin: Origin) {
            self.name = name
            self.revision = revision
            self.origin = origin
        }
    }

    /// Absolute, every link resolved. Relative paths of the Modelfile start here.
    public let context: String
    /// From `--exclude` and `--include`; the Modelfile's own EXCLUDE comes before.
    public let rules: ContextRules
    /// Layers that the output has beside those of the bundle's lanes.
    public let reservedLayers: Int
    /// Whether files and directories keep the permission bits they have on disk.
    public let keepsModes: Bool
    /// Whether a bare word may be a path; false where FROM stands for an image that was named as one.
    public let looksOnDisk: Bool
    let cache: DigestCache?
    private let elsewhere: Sources

    public init(
        context: String, rules: ContextRules, reservedLayers: Int, keepsModes: Bool = false, looksOnDisk: Bool = true,
        cache: DigestCache?, elsewhere: Sources
    ) {
        self.context = context
        self.rules = rules
        self.reservedLayers = reservedLayers
        self.keepsModes = keepsModes
        self.looksOnDisk = looksOnDisk
        self.cache = cache
        self.elsewhere = elsewhere
    }

    /// A model whose files are pinned, and what it was pinned from.
    public struct Resolution: Sendable {
        public let bundle: ModelBundle
        /// In the order of the Modelfile.
        public let sources: [PinnedSource]
    }

    /// - Throws: `KapsuleError` blamed on the line of the Modelfile, before anything is made.
    public func resolve(_ modelfile: Modelfile) throws -> Resolution {
        var model = Assembly(rules: rules.adding(modelfile.excludePatterns))
        // ADAPTER and DRAFT may name files that FROM brings, whatever the order of the lines.
        for words in [[InstructionWord.from], [.adapter, .draft]] {
            for instruction in modelfile.instructions where words.contains(instruction.word) {
                do {
                    try add(instruction, to: &model)
                } catch let error as KapsuleError {
                    throw error.blaming(instruction.valueSpan)
                }
            }
        }
        guard !model.files.isEmpty else { throw nothingLeft(modelfile) }
        return Resolution(bundle: try bundle(of: model, modelfile), sources: model.sources)
    }

    private func bundle(of model: Assembly, _ modelfile: Modelfile) throws -> ModelBundle {
        let card = modelfile.card.onTop(of: model.inherited)
        let files = model.files.values.sorted { $0.path < $1.path }
        let beside = model.pathsBeside
        let facts = ModelFactsSource {
            try ModelFactsReader.facts(of: files) { path in
                !beside.contains { path.text == $0 || path.text.hasPrefix("\($0)/") }
            }
        }
        return ModelBundle(
            identity: [model.name ?? "model", model.revision].compactMap(\.self).joined(separator: "@"),
            card: card, modelfile: Array(try model.canonicalText(card).utf8), origin: model.origin, files: files,
            lanes: LanePolicy(reserving: reservedLayers).lanes(forSizes: files.map(\.source.size)),
            directoryPermissions: model.directoryPermissions, facts: facts)
    }

    private func nothingLeft(_ modelfile: Modelfile) -> KapsuleError {
        KapsuleError(
            .usage, id: "source.empty", "no file is left for the model",
            remedy: "check FROM, EXCLUDE, --exclude, --include and the ignore file",
            at: modelfile.instructions.first { $0.word == .from }?.valueSpan)
    }

    // MARK: One line

    private func add(_ instruction: Instruction, to model: inout Assembly) throws {
        let line = Line(instruction: instruction)
        let reference = try SourceReference(parsing: instruction.value)
        if looksOnDisk, let path = reference.localPath {
            let local = LocalSource(context: context, rules: model.rules, cache: cache, keepsModes: keepsModes)
            if let found = try local.find(path) { return try add(found, line, local, to: &model) }
        }
        guard line.word == .from, let found = try self.find(reference, model.rules.admits) else {
            throw try notFound(line, reference)
        }
        try model.add(
            found.candidates, named: found.name, revision: found.revision, reference: line.value, span: line.span)
        model.inherit(found.modelfile)
        model.origin = found.origin
    }

    private func find(_ reference: SourceReference, _ wants: (BundlePath) -> Bool) throws -> FoundModel? {
        if let found = try elsewhere.model(reference, wants) { return found }
        if let image = try elsewhere.image(reference) { return try find(in: image, wants) }
        // What is nearly the name of a file here was meant as one: nobody else is asked for a slip of the fingers.
        guard case .pathOrModelName(let name) = reference, try suggestion(name) == nil else { return nil }
        return try elsewhere.distant(name, wants)
    }

    private func find(in image: Image, _ wants: (BundlePath) -> Bool) throws -> FoundModel {
        guard OllamaSource.isOllama(image) else {
            return try ImageModel.find(in: image, wants: wants, fetch: { try elsewhere.fetch(image, $0) })
        }
        return try OllamaSource.find(
            in: image, named: image.origin.name, origin: Origin(), wants: wants, note: elsewhere.note)
    }

    private func suggestion(_ name: String) throws -> String? {
        Suggestion.nearest(to: name, among: try Directories.names(in: context))
    }

    private struct Line {
        let instruction: Instruction
        var word: InstructionWord { instruction.word }
        var value: String { instruction.value }
        var span: SourceSpan { instruction.valueSpan }
    }

    private func add(
        _ found: LocalSource.Found, _ line: Line, _ local: LocalSource, to model: inout Assembly
    ) throws {
        switch found {
        case .file(let candidate):
            try model.add(
                [candidate], named: candidate.file.path.name, reference: line.value, span: line.span)
            model.mention(line.word, model.path(of: candidate.identity)?.text ?? candidate.file.path.text)
        case .directory(let root, let found):
            let name = LocalSource.lastPart(root)
            // What FROM names is the model itself; ADAPTER and DRAFT keep a directory of their own.
            let prefix = line.word == .from ? "" : "\(name)/"
            let candidates = try found.entries.map { entry in
                try local.candidate(
                    entry.realPath, entry.status, at: try BundlePath(validating: prefix + entry.path.text))
            }
            let known = line.word == .from ? try elsewhere.directory(root) : nil
            try model.add(
                candidates, named: known?.name ?? name, revision: known?.revision, reference: line.value,
                span: line.span)
            if let known { model.origin = known.origin }
            model.mention(
                line.word, line.word == .from ? "." : model.directory(of: candidates, in: found.entries) ?? name)
            if keepsModes { model.keep(found.directoryPermissions, below: prefix) }
        }
    }

    private func notFound(_ line: Line, _ reference: SourceReference) throws -> KapsuleError {
        let suggestion = try suggestion(line.value).map { "did you mean \($0)?" }
        if case .pathOrModelName = reference, line.word == .from {
            return KapsuleError(
                .usage, id: "source.not-found",
                "'\(line.value)' is neither a file or directory of the context \(context), nor an image of the local store, nor a model of Ollama's",
                remedy: suggestion ?? "check the name; an image of a registry is written oci://HOST/REPOSITORY:TAG")
        }
        return KapsuleError(
            .usage, id: "source.not-found", "\(line.word.rawValue) names '\(line.value)', which does not exist",
            remedy: suggestion ?? "paths start at the context \(context)")
    }
}

extension SourceReference {
    /// What to look for on disk first; nil for what cannot be a path.
    var localPath: String? {
        switch self {
        case .path(let path), .pathOrModelName(let path): path
        case .hub, .registry, .layout, .archive, .ollama, .git: nil
        }
    }
}

extension Modelfile {
    /// The patterns of all EXCLUDE lines, in order.
    var excludePatterns: PathFilter {
        PathFilter(
            instructions.flatMap { instruction -> [String] in
                guard case .exclude(let patterns, _) = instruction.content else { return [] }
                return patterns.map(\.text)
            })
    }
}

extension ModelCard {
    /// What a model says that is built on another: its own words where it has any.
    ///
    /// Parameters replace by name, `stop` as a list; messages replace as a whole; licences are added.
    ///
    /// Source: observed behaviour of `ollama create` with FROM a model.
    func onTop(of base: ModelCard) -> ModelCard {
        var card = self
        let own = Set(parameters.map(\.name))
        card.parameters = base.parameters.filter { !own.contains($0.name) } + parameters
        card.template = template ?? base.template
        card.system = system ?? base.system
        card.licenses = base.licenses + licenses.filter { !base.licenses.contains($0) }
        card.messages = messages.isEmpty ? base.messages : messages
        card.renderer = renderer ?? base.renderer
        card.parser = parser ?? base.parser
        card.requires = requires ?? base.requires
        return card
    }
}
