internal import ArgumentParser
internal import Builder
internal import Encryption
internal import Exporters
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Ollama
internal import Store

/// What decides a build.
struct BuildSettings {
    var model: ModelOptions
    /// Stands in place of a Modelfile; nil where there is one.
    var image: GivenImage?
    var registry: RegistryFlags
    var tags: [String]
    var formats: [BuildFormat] = []
    var outputs: [OutputSpec]
    var verity: VerityFlags
    var pushes = false
    /// Whether files that are damaged end the build.
    var checks = false
    var compression = CompressionChoice.none
    /// Most bytes of a layer; nil for any.
    var maxLayerSize: Int64?
    var platforms = [Platform(os: "linux", architecture: "amd64")]
    var concurrency = Limits.concurrency
    var replaces = false
    var encryption: EncryptionFlags
    var decryption: DecryptionFlags
    var vault: VaultFlags
    /// Whether Vault's key is to encrypt with; else it only decrypts.
    var encryptsWithVault = true
}

/// What a build and the plan of a build have in common.
struct Workshop {
    let settings: BuildSettings
    let toolbox: Toolbox
    let locator: ImageLocator
    private let cache: DigestCache?
    private let memory: DigestCache

    init(_ settings: BuildSettings, _ toolbox: Toolbox) throws {
        self.settings = settings
        self.toolbox = toolbox
        locator = try ImageLocator(toolbox, settings.registry)
        memory = try toolbox.digestCache()
        cache = settings.model.noCache ? nil : memory
        try BuildArguments.apply(settings.model.buildArguments)
    }

    /// Everything decided, nothing made.
    struct Prepared {
        let bundle: ModelBundle
        let sessions: [any ExportSession]
        let plan: Plan
        /// What `ENCRYPT emwp:` names.
        let diskKey: BuildEncryption.DiskKey?
    }

    func prepare() async throws -> Prepared {
        let loaded = try loadModelfile()
        let wishes = try encryption(loaded)
        let encryption = wishes.layers
        let base = try settings.model.base.map(openBase)
        let resolver = try resolver(loaded, base)
        let resolution = try resolver.resolve(loaded.modelfile)
        if settings.checks {
            let check = try resolver.check(of: loaded.modelfile, concurrency: settings.concurrency)
            for warning in try await check.check(resolution.bundle) { toolbox.note("warning: \(warning)") }
        }
        if settings.image == nil, encryption == nil, !settings.decryption.keys.isEmpty || settings.vault.key != nil {
            toolbox.note(
                "warning: what is decrypted for this build is stored in plaintext: no --encryption-key, no ENCRYPT")
        }
        let outputs = try outputs(base, wishes, resolution.sources)
        let whole = try joined(resolution.bundle, outputs.specs)
        let separated = try encryption?.separating(whole) ?? whole
        let bundle = try split(try await identified(separated, outputs.specs), outputs.specs, base)
        let sessions = try outputs.exporters().map { try $0.begin(bundle) }
        return Prepared(
            bundle: bundle, sessions: sessions, plan: Planner.plan(bundle, from: resolution.sources, to: sessions),
            diskKey: wishes.disk)
    }

    /// The model alone, its files where they are.
    func resolved() throws -> ModelBundle {
        let loaded = try loadModelfile()
        return try resolver(loaded, nil).resolve(loaded.modelfile).bundle
    }

    /// What lies in several GGUF files as one, for Ollama, whose layers are whole models.
    private func joined(_ bundle: ModelBundle, _ specs: [OutputSpec]) throws -> ModelBundle {
        guard specs.contains(where: \.isOllamas), GGUFParts.areIn(bundle) else { return bundle }
        let joined = try GGUFParts.joined(bundle)
        guard specs.allSatisfy(\.isOllamas) || joined.files.count == bundle.files.count else {
            throw KapsuleError(
                .usage, id: "usage.gguf-parts",
                "for Ollama the GGUF files of this model are joined, and for the other outputs they stay as they are",
                remedy: "make the model for Ollama with a command of its own")
        }
        return joined
    }

    /// What is too large for a layer, in parts.
    private func split(_ bundle: ModelBundle, _ specs: [OutputSpec], _ base: BaseImage?) throws -> ModelBundle {
        guard let limit = settings.maxLayerSize else { return bundle }
        if let other = specs.first(where: { !($0.kind ?? .oci).isImage }) {
            throw KapsuleError(
                .usage, id: "usage.max-layer-size",
                "--max-layer-size is about layers, and the output '\(other.kind?.rawValue ?? "")' has none",
                remedy: "make that output with a command of its own")
        }
        let (memory, forgets) = (memory, settings.model.noCache)
        let result = try LayerSplit(
            limit: limit, reservedLayers: 1 + (base?.manifest.layers.count ?? 0),
            isGzipped: settings.compression == .gzip, recall: { forgets ? nil : memory.layer(for: $0) },
            progress: toolbox.progress
        ).split(bundle)
        for path in result.cut {
            toolbox.note(
                "warning: '\(path)' is in several layers: kapsule joins them, and a runtime that mounts the image sees parts"
            )
        }
        return result.bundle
    }

    private func loadModelfile() throws -> LoadedModelfile {
        guard let given = settings.image else { return try LoadedModelfile.load(settings.model, in: toolbox) }
        return LoadedModelfile(modelfile: try given.modelfile(in: toolbox), context: try Directories.current())
    }

    private func outputs(
        _ base: BaseImage?, _ wishes: BuildEncryption.Wishes, _ sources: [PinnedSource]
    ) throws -> BuildOutputs {
        let tags = try settings.tags.map { try Reference(parsing: $0) }
        let specs = try BuildOutputs.specs(
            formats: settings.formats, outputs: settings.outputs, pushes: settings.pushes, tags: tags)
        if settings.verity.keepModes, specs.contains(where: { $0.kind?.isImage ?? true }) {
            throw KapsuleError(
                .usage, id: "usage.keep-modes",
                "--keep-modes goes with verity images: the modes of OCI images are normalised",
                remedy: "leave it out, or make the OCI image with a command of its own")
        }
        try checkCarried(wishes, specs)
        try wishes.layers?.check()
        return BuildOutputs(
            locator: locator, tags: tags, specs: specs, tagsDecide: settings.outputs.isEmpty,
            image: try imageOptions(base, wishes.layers),
            verity: VerityOptions(
                flags: settings.verity, environment: toolbox.environment,
                excludedFiles: settings.model.exclude.joined(separator: ","), diskKey: wishes.disk),
            hubRevision: Self.hubRevision(sources), replaces: settings.replaces)
    }

    /// What leads to the commit on the hub: the branch or the tag that FROM names, `main` where it names none.
    private static func hubRevision(_ sources: [PinnedSource]) -> String? {
        for source in sources {
            guard case .hub(let hub)? = try? SourceReference(parsing: source.reference) else { continue }
            return hub.isPinned ? nil : hub.revision ?? "main"
        }
        return nil
    }

    /// Whoever asked for encryption gets nothing in plaintext.
    private func checkCarried(_ wishes: BuildEncryption.Wishes, _ specs: [OutputSpec]) throws {
        guard wishes.layers != nil || wishes.disk != nil else { return }
        for spec in specs {
            let kind = spec.kind ?? .oci
            if kind == .emwp || (kind.isImage && wishes.layers != nil) { continue }
            throw KapsuleError(
                .usage, id: "encryption.format",
                "encryption was asked for, and the output '\(kind.rawValue)' cannot carry it",
                remedy: kind.isImage
                    ? "a master key is for disks (--format emwp); name a public key for images"
                    : "make that output with a command of its own, without ENCRYPT and --encryption-key; for an encrypted "
                        + "disk use --format emwp",
                at: wishes.layers == nil ? wishes.disk?.span : nil)
        }
    }

    /// The model under the identity that UUIDs and salts follow from: the one given, that of its source, or what is in it.
    private func identified(_ bundle: ModelBundle, _ specs: [OutputSpec]) async throws -> ModelBundle {
        let bundle = try await namedInCaches(bundle, specs)
        if let given = try settings.verity.modelID.map(GivenIdentity.init(parsing:)) {
            let card = bundle.files.first { $0.path.text == "README.md" }?.source
            let origin = try given.hub.map { hub in
                try HubSource(toolbox: toolbox, noCache: settings.model.noCache).origin(of: hub, card: card)
            }
            return bundle.identified(as: given.text, digests: bundle.files.map(\.source.digest), origin: origin)
        }
        let isNamed = settings.verity.profile != .privatemode
        let needsRevision = specs.contains { $0.kind == .emwp || ($0.kind == .verity && isNamed) }
        guard needsRevision, !bundle.identity.contains("@") else { return bundle }
        return try await ContentIdentity.identify(
            bundle, named: bundle.identity, concurrency: settings.concurrency, progress: toolbox.progress)
    }

    /// A cache of the hub names files by what is in them, so that has to be known beforehand.
    private func namedInCaches(_ bundle: ModelBundle, _ specs: [OutputSpec]) async throws -> ModelBundle {
        let isUnknown = bundle.files.contains { $0.source.digest == nil && $0.source.gitBlobName == nil }
        guard isUnknown, specs.contains(where: { $0.kind == .hubCache }) else { return bundle }
        let known = try await ContentIdentity.identify(
            bundle, named: bundle.identity, concurrency: settings.concurrency, progress: toolbox.progress)
        return known.identified(as: bundle.identity, digests: known.files.map(\.source.digest))
    }

    func run(_ prepared: Prepared) async throws -> Executor.Report {
        let executor = Executor(concurrency: settings.concurrency, progress: toolbox.progress)
        return try await executor.run(prepared.plan, for: prepared.bundle, to: prepared.sessions)
    }

    /// Reads back every byte of everything that was made.
    func verify(_ results: BuildResults, of prepared: Prepared) async throws {
        for (_, receipt) in results.receipts {
            if let path = receipt.directoryPath {
                try await DirectoryCheck(concurrency: settings.concurrency, progress: toolbox.progress)
                    .check(receipt.outputs, in: path)
                continue
            }
            if let path = receipt.ollamaStore {
                try await verify(modelIn: path, receipt.reference)
                continue
            }
            if let path = receipt.imagePath {
                try await verify(
                    imageAt: path, receipt.reference, identity: results.bundle.identity, diskKey: prepared.diskKey)
                continue
            }
            let image = try Image(try locator.origin(of: receipt.reference, prefersStore: false))
            try await BlobCheck(concurrency: settings.concurrency, progress: toolbox.progress).check(image)
        }
    }

    private func verify(modelIn store: String, _ reference: String) async throws {
        let name = reference.dropFirst("ollama:".count).split(separator: "@").first.map(String.init) ?? ""
        guard let origin = try OllamaOrigin(try OllamaName(parsing: name), in: OllamaStore(store)) else {
            throw KapsuleError(.unverified, id: "ollama.not-found", "\(store) has no model '\(name)' any more")
        }
        try await BlobCheck(concurrency: settings.concurrency, progress: toolbox.progress).check(try Image(origin))
    }

    private func verify(
        imageAt path: String, _ reference: String, identity: String, diskKey: BuildEncryption.DiskKey?
    ) async throws {
        let isNamed = settings.verity.profile != .privatemode && reference.contains("_")
        let proof = try ProofFlags.parse(["--root-hash", reference] + (isNamed ? ["--model-id", identity] : []))
        var file = try ImageFile(path, proof, toolbox)
        if case .encryptedDisk = file?.file.container {
            file?.masterKey = try MasterKey.load(file: settings.verity.keyFile, else: diskKey, toolbox.environment)
        }
        _ = try await file?.check()
    }

    // MARK: Pieces

    private func resolver(_ loaded: LoadedModelfile, _ base: BaseImage?) throws -> ModelResolver {
        let keyring = try settings.decryption.keyring(settings.vault, in: toolbox)
        let fetcher = LayerFetcher(store: locator.store, keyring: keyring, progress: toolbox.progress)
        let given = settings.image?.image
        let sources = ModelSources(toolbox: toolbox, settings: settings, locator: locator)
        return ModelResolver(
            context: loaded.context, rules: settings.model.rules,
            reservedLayers: 1 + (base?.manifest.layers.count ?? 0), keepsModes: settings.verity.keepModes,
            looksOnDisk: given == nil, cache: cache,
            elsewhere: ModelResolver.Sources(
                model: { given == nil ? try sources.find($0, wants: $1) : nil },
                image: { try given ?? openImage($0, from: loaded.context) }, fetch: fetcher.fetch,
                distant: { given == nil ? try sources.findDistant($0, wants: $1) : nil },
                directory: { [toolbox] in try HubSource(toolbox: toolbox, noCache: false).known(directory: $0) },
                note: { [toolbox] in toolbox.note("note: \($0)") }))
    }

    /// - Parameter context: where relative paths start.
    private func openImage(_ reference: SourceReference, from context: String) throws -> Image? {
        func path(_ local: LocalImageReference) -> String {
            let path = local.path.hasPrefix("/") ? local.path : "\(context)/\(local.path)"
            let tag = local.digest?.description ?? local.tag
            return path + (tag.map { ($0.hasPrefix("sha256:") ? "@" : ":") + $0 } ?? "")
        }
        switch reference {
        case .registry(let registry):
            return try Image(locator.registry(try Reference(parsing: registry.text)))
        case .layout(let local):
            return try Image(locator.layout(path(local), named: "oci:\(local.path)"))
        case .archive(let local): return try Image(locator.archive(path(local)))
        case .pathOrModelName(let name):
            return try locator.hasStored(name) ? try locator.stored(name).map { try Image($0) } : nil
        case .path, .hub, .ollama, .git: return nil
        }
    }

    private func encryption(_ loaded: LoadedModelfile) throws -> BuildEncryption.Wishes {
        let file = settings.model.file.flatMap { $0 == "-" ? nil : Paths.directory(of: $0) }
        let vault = settings.encryptsWithVault ? settings.vault : try VaultFlags.parse([])
        return try BuildEncryption(
            flags: settings.encryption, vault: vault, toolbox: toolbox, directory: file ?? loaded.context
        ).wishes(loaded.modelfile)
    }

    private func openBase(_ text: String) throws -> BaseImage {
        let image = try Image(try locator.origin(of: text, prefersStore: false), platform: settings.platforms.first)
        return BaseImage(
            origin: image.origin.reference, manifest: image.manifest.content,
            config: try JSON.decode(try image.configBytes(), what: "the config of \(image.origin.name)"),
            blob: { try image.origin.blob($0) })
    }

    private func imageOptions(
        _ base: BaseImage?, _ encryption: LayerEncryption?
    ) throws -> ImageExporter.Options {
        var options = ImageExporter.Options()
        options.compression = settings.compression.layers
        options.platforms = settings.platforms
        options.base = base
        options.encryption = encryption
        options.created = try SourceDateEpoch.created(toolbox.environment, settings.model.buildArguments)
        options.replaces = settings.replaces
        let (memory, forgets) = (memory, settings.model.noCache)
        options.memory = LayerMemory(
            recall: { forgets ? nil : memory.layer(for: $0) }, remember: { memory.recordLayer($0, $1) })
        return options
    }
}

/// The arguments that a build takes although Modelfiles have no ARG: those that buildx knows of itself.
enum BuildArguments {
    private static let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"]

    static func apply(_ arguments: [String]) throws {
        for argument in arguments {
            let (name, value) = try split(argument)
            if proxies.contains(name.uppercased()) {
                CurrentProcess.setEnvironment(name.lowercased(), value)
                CurrentProcess.setEnvironment(name.uppercased(), value)
            }
        }
    }

    static func value(of name: String, in arguments: [String]) throws -> String? {
        try arguments.map(split).last { $0.name == name }?.value
    }

    private static func split(_ argument: String) throws -> (name: String, value: String) {
        let pair = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard pair.count == 2, proxies.contains(pair[0].uppercased()) || pair[0] == "SOURCE_DATE_EPOCH" else {
            throw KapsuleError(
                .usage, id: "usage.build-arg", "'--build-arg \(pair[0])' is used by nothing: Modelfiles have no ARG",
                remedy: "use SOURCE_DATE_EPOCH=…, HTTP_PROXY=…, HTTPS_PROXY=… or NO_PROXY=…")
        }
        return (pair[0], pair[1])
    }
}

/// `SOURCE_DATE_EPOCH`, the time that a reproducible build gives.
///
/// Source: reproducible-builds.org, "SOURCE_DATE_EPOCH specification".
enum SourceDateEpoch {
    /// RFC 3339; nil when the variable is not set.
    static func created(_ environment: [String: String], _ arguments: [String]) throws -> String? {
        guard
            let text = try BuildArguments.value(of: "SOURCE_DATE_EPOCH", in: arguments)
                ?? environment["SOURCE_DATE_EPOCH"],
            !text.isEmpty
        else { return nil }
        guard let seconds = Int64(text), (0...253_402_300_799).contains(seconds), !text.hasPrefix("+") else {
            throw KapsuleError(
                .usage, id: "usage.source-date-epoch",
                "SOURCE_DATE_EPOCH is '\(text)', which is not a whole number of seconds",
                remedy: "set it to seconds since 1970, such as $(git log -1 --format=%ct), or unset it")
        }
        return Timestamp.text(seconds)
    }
}
