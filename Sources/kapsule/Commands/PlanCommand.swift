internal import ArgumentParser
internal import Builder
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO

struct PlanCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Print what a build would do, without doing it.",
        discussion: "Takes what 'kapsule build' takes to decide the plan. --format svg draws it.")

    @OptionGroup(title: "Model") var model: ModelOptions

    @Option(name: [.short, .long], help: ArgumentHelp("What the image is called; repeatable.", valueName: "ref"))
    var tag: [String] = []

    @Option(help: ArgumentHelp("text, json, dot, mermaid or svg.", valueName: "format"))
    var format = PlanFormatChoice.text

    @Option(
        name: [.short, .customLong("output")],
        help: ArgumentHelp("Outputs of the build, as 'kapsule build' takes them; repeatable.", valueName: "output"))
    var outputs: [OutputSpec] = []

    @Option(help: ArgumentHelp("How layers are stored: none or gzip.", valueName: "how"))
    var compression = CompressionChoice.none

    @OptionGroup var layerSize: LayerSizeFlags
    @OptionGroup(title: "Verity images") var verity: VerityFlags
    @OptionGroup(title: "Encryption") var encryption: EncryptionFlags
    @OptionGroup(title: "Encryption") var decryption: DecryptionFlags
    @OptionGroup(title: "Encryption") var vault: VaultFlags
    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let settings = BuildSettings(
            model: model, registry: registry, tags: tag, outputs: outputs, verity: verity, compression: compression,
            maxLayerSize: try layerSize.limit(), encryption: encryption, decryption: decryption, vault: vault)
        let plan = try await Workshop(settings, toolbox).prepare().plan
        let text = plan.rendered(as: format.format)
        try toolbox.write(text.hasSuffix("\n") ? text : text + "\n")
    }
}

/// `--format` of `plan`.
enum PlanFormatChoice: String, ExpressibleByArgument, CaseIterable {
    case text, json, dot, mermaid, svg

    var format: PlanFormat {
        switch self {
        case .text: .text
        case .json: .json
        case .dot: .dot
        case .mermaid: .mermaid
        case .svg: .svg
        }
    }
}
