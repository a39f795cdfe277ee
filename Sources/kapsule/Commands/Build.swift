internal import ArgumentParser
internal import Builder
internal import Exporters
internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Store

struct Build: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Build a model from a Modelfile.",
        discussion: """
            Without --output the tags decide: one with a registry's host is pushed there, one without goes to the \
            local store. Every byte of the model is read once, whatever the number of outputs.

              kapsule build -t mistral:7b .
              kapsule build -f Modelfile -t ghcr.io/acme/mistral:7b .
              kapsule build -t acme/m:1 -o layout .
            """)

    @OptionGroup(title: "Model") var model: ModelOptions

    @Option(name: [.short, .long], help: ArgumentHelp("What the image is called; repeatable.", valueName: "ref"))
    var tag: [String] = []

    @Option(
        help: ArgumentHelp(
            "What is made: oci, modelpack, universal, oci-archive, verity, emwp, repart, hf, pytorch or ollama; repeatable.",
            valueName: "format"))
    var format: [BuildFormat] = []

    @Option(
        name: [.short, .customLong("output")],
        help: ArgumentHelp(
            "A directory or FILE.tar, or type=FORMAT,dest=PATH, type=registry, type=store; repeatable.",
            valueName: "output"))
    var outputs: [OutputSpec] = []

    @Flag(help: "Push as well when there is an --output.")
    var push = false

    @Option(help: ArgumentHelp("How layers are stored: none or gzip. Weights do not compress.", valueName: "how"))
    var compression = CompressionChoice.none

    @OptionGroup var layerSize: LayerSizeFlags

    @Option(
        help: ArgumentHelp(
            "What the image says it is for; repeatable, or separated by commas. Default: linux/amd64.",
            valueName: "os/arch"))
    var platform: [String] = []

    @Option(help: ArgumentHelp("Lanes of the model that move at one time.", valueName: "n"))
    var concurrency = Limits.concurrency

    @Flag(help: "Replace tags that name other images.")
    var force = false

    @Flag(name: .customLong("dry-run"), help: "Show the plan; make nothing.")
    var dryRun = false

    @Flag(help: "Parse, lint and resolve only.")
    var check = false

    @Flag(name: .customLong("no-check"), help: "Do not look whether the model's files are damaged.")
    var noCheck = false

    @Flag(help: "Read back and check what was written.")
    var verify = false

    @Option(
        name: .customLong("iidfile"), help: ArgumentHelp("Write the image's digest to this file.", valueName: "path"))
    var digestFile: String?

    @Option(
        name: .customLong("metadata-file"),
        help: ArgumentHelp("Write what was made to this file, as JSON.", valueName: "path"))
    var metadataFile: String?

    @OptionGroup(title: "Verity images") var verity: VerityFlags
    @OptionGroup(title: "Encryption") var encryption: EncryptionFlags
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        try CommonChecks.concurrency(concurrency)
        _ = try parsedPlatforms()
        for tag in tag {
            do { _ = try Reference(parsing: tag) } catch let error as KapsuleError {
                throw ValidationError("\(error.message)\(error.remedy.map { "\nhelp: \($0)" } ?? "")")
            }
        }
    }

    func run(in toolbox: Toolbox) async throws {
        let workshop = try Workshop(try settings, toolbox)
        // What the plan finds in the store stays there until the last tag is set.
        let use = try workshop.locator.store.use()
        defer { withExtendedLifetime(use) {} }
        let prepared = try await workshop.prepare()
        if check { return toolbox.note("the Modelfile and its sources are in order") }
        if dryRun {
            return try toolbox.write(prepared.plan.rendered(as: .text) + MovementForecast(prepared).rendered())
        }
        let report = try await workshop.run(prepared)
        let results = BuildResults(
            report: report, sessions: prepared.sessions.map(\.name), bundle: prepared.bundle)
        try results.write(digestFile: digestFile, metadataFile: metadataFile, tags: tag)
        if verify { try await workshop.verify(results, of: prepared) }
        for line in results.references { try toolbox.print(line) }
        try results.throwIfIncomplete()
    }

    private var settings: BuildSettings {
        get throws {
            BuildSettings(
                model: model, registry: registry, tags: tag, formats: format, outputs: outputs, verity: verity,
                pushes: push, checks: !noCheck, compression: compression,
                maxLayerSize: try layerSize.limit(),
                platforms: try parsedPlatforms(), concurrency: concurrency, replaces: force, encryption: encryption,
                decryption: decryption, vault: vault)
        }
    }

    private func parsedPlatforms() throws -> [Platform] {
        let texts = platform.flatMap { $0.split(separator: ",").map(String.init) }
        guard !texts.isEmpty else { return [Platform(os: "linux", architecture: "amd64")] }
        return try texts.map { text in
            guard let platform = Platform(parsing: text) else {
                throw ValidationError("'\(text)' is no platform: write os/architecture, such as linux/arm64.")
            }
            return platform
        }
    }
}

enum BuildFormat: String, ExpressibleByArgument, CaseIterable {
    case oci
    case archive = "oci-archive"
    case modelPack = "modelpack"
    case universal
    case verity, emwp, repart, hf, pytorch, ollama

    var kind: OutputSpec.Kind {
        switch self {
        case .oci: .oci
        case .archive: .archive
        case .modelPack: .modelPack
        case .universal: .universal
        case .verity: .verity
        case .emwp: .emwp
        case .repart: .repart
        case .hf: .hf
        case .pytorch: .pytorch
        case .ollama: .ollama
        }
    }
}

/// `--compression`.
enum CompressionChoice: String, ExpressibleByArgument, CaseIterable {
    case none, gzip

    var layers: LayerCompression {
        switch self {
        case .none: .none
        case .gzip: .gzip
        }
    }
}

enum CommonChecks {
    static func patterns(_ patterns: [String]) throws {
        for pattern in patterns where PathPattern(pattern) == nil {
            throw ValidationError("'\(pattern)' is a pattern that matches nothing.")
        }
    }

    static func concurrency(_ value: Int) throws {
        guard (1...Limits.mostConcurrency).contains(value) else {
            throw ValidationError(
                "'--concurrency \(value)' is \(value < 1 ? "too small" : "too large"): use 1 to \(Limits.mostConcurrency)."
            )
        }
    }
}
