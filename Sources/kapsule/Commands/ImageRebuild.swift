internal import ArgumentParser
internal import Builder
internal import Exporters
internal import KapsuleCore
internal import ModelfileParser
internal import OCI

/// An image that stands in place of a Modelfile: a build of it is a build of "FROM that image".
struct GivenImage {
    let image: Image
    /// As FROM would write it, for the plan and for errors.
    let text: String

    /// The Modelfile that consists of that line.
    func modelfile(in toolbox: Toolbox) throws -> Modelfile {
        let text = try Modelfile.synthesised(card: ModelCard(), from: [text])
        let result = Parser.parse(text, file: "command line")
        toolbox.remember(result.source)
        try ModelfileMistakes.check(result, in: toolbox)
        return result.modelfile
    }
}

/// What pull, export and push do for every format that an image is not already in: they build from it.
struct ImageRebuild {
    let given: GivenImage
    /// What the image is called at its destination, where that has names.
    let names: [Reference]
    let options: ExportOptions
    let output: OutputSpec
    let registry: RegistryFlags
    let encryption: EncryptionFlags
    let decryption: DecryptionFlags
    let vault: VaultFlags
    /// Whether what is made is encrypted with Vault's key, rather than the image decrypted.
    var encryptsWithVault = false
    let verity: VerityFlags

    /// - Returns: a line for each output, as a build prints them.
    func run(in toolbox: Toolbox) async throws -> [String] {
        let workshop = try Workshop(try settings, toolbox)
        let prepared = try await workshop.prepare()
        let report = try await workshop.run(prepared)
        let results = BuildResults(
            report: report, sessions: prepared.sessions.map(\.name), bundle: prepared.bundle)
        try results.throwIfIncomplete()
        return results.references
    }

    private var settings: BuildSettings {
        get throws {
            var model = try ModelOptions.parse([])
            model.include = options.include
            model.exclude = options.exclude
            var settings = BuildSettings(
                model: model, registry: registry,
                tags: output.kind?.takesTags == true && output.name == nil ? names.map(\.description) : [],
                outputs: [output], verity: verity,
                encryption: encryption, decryption: decryption, vault: vault)
            settings.image = given
            settings.encryptsWithVault = encryptsWithVault
            settings.concurrency = options.concurrency
            settings.replaces = options.force
            return settings
        }
    }
}
