internal import ArgumentParser
internal import Exporters
internal import Formats
internal import KapsuleCore
internal import KapsuleIO

/// What decides the bytes of a verity image or an encrypted disk.
struct VerityFlags: ParsableArguments {
    @Option(
        name: .customLong("verity-profile"),
        help: ArgumentHelp("modelwrap-1, modelwrap-2 or privatemode.", valueName: "profile"))
    var profile = VerityProfileChoice.modelwrap2

    @Option(
        name: .customLong("model-id"),
        help: ArgumentHelp(
            "Identity of the model. Default: that of its source, or what is in it.", valueName: "name@revision"))
    var modelID: String?

    @Flag(name: .customLong("keep-modes"), help: "Take permission bits from the source instead of normalising them.")
    var keepModes = false

    @Option(
        name: .customLong("key-file"),
        help: ArgumentHelp("Master key of an encrypted disk: 64 bytes in base64.", valueName: "path"))
    var keyFile: String?

    @Option(
        name: .customLong("disk-size"),
        help: ArgumentHelp(
            "Size of a disk made with --format repart, in bytes; its root hash depends on it. Default: the smallest.",
            valueName: "bytes"))
    var diskSize: Int64?
}

/// What decides the bytes of a verity image or a disk that pull or export makes of an image, beside its identity and key.
struct VerityShapeFlags: ParsableArguments {
    @Option(
        name: .customLong("verity-profile"),
        help: ArgumentHelp(
            "With verity and emwp: modelwrap-1, modelwrap-2 or privatemode. Default: modelwrap-2.", valueName: "profile"
        ))
    var profile: VerityProfileChoice?

    @Option(
        name: .customLong("disk-size"),
        help: ArgumentHelp("With repart: size of the disk, in bytes. Default: the smallest.", valueName: "bytes"))
    var diskSize: Int64?

    /// - Throws: `ValidationError` for a flag that the format has no use for.
    func flags(for format: ExportFormat, modelID: String?, keyFile: String?) throws -> VerityFlags {
        let kind: OutputSpec.Kind? = if case .built(let format) = format { format.kind } else { nil }
        func refuse(_ flag: String, _ isThere: Bool, unless kinds: [OutputSpec.Kind]) throws {
            guard isThere, !kinds.contains(where: { $0 == kind }) else { return }
            throw ValidationError(
                "\(flag) goes with --format \(kinds.map(\.rawValue).joined(separator: " and ")).")
        }
        try refuse("--verity-profile", profile != nil, unless: [.verity, .emwp])
        try refuse("--disk-size", diskSize != nil, unless: [.repart])
        try refuse("--model-id", modelID != nil, unless: [.verity, .emwp])
        try refuse("--key-file", keyFile != nil, unless: [.emwp])
        var flags = try VerityFlags.parse([])
        flags.profile = profile ?? flags.profile
        flags.diskSize = diskSize
        flags.modelID = modelID
        flags.keyFile = keyFile
        return flags
    }
}

/// Identity and key of what pull makes; export has them among the flags that say what a file is checked against.
struct VerityIdentityFlags: ParsableArguments {
    @Option(
        name: .customLong("model-id"),
        help: ArgumentHelp(
            "With verity and emwp: identity of the model. Default: that of the image.", valueName: "name@revision"))
    var modelID: String?

    @Option(
        name: .customLong("key-file"),
        help: ArgumentHelp(
            "With emwp: master key of the disk, 64 bytes in base64.", valueName: "path"))
    var keyFile: String?
}

enum VerityProfileChoice: String, ExpressibleByArgument, CaseIterable {
    case modelwrap1 = "modelwrap-1"
    case modelwrap2 = "modelwrap-2"
    case privatemode

    var profile: EROFS.Profile {
        switch self {
        case .modelwrap1: .modelwrap1
        case .modelwrap2: .modelwrap2
        case .privatemode: .privatemode
        }
    }
}

/// The flags, with what the environment adds to them.
struct VerityOptions {
    let flags: VerityFlags
    let environment: [String: String]
    let excludedFiles: String
    /// What `ENCRYPT emwp:` names.
    let diskKey: BuildEncryption.DiskKey?

    func exporter(to directory: String, replaces: Bool) throws -> any Exporter {
        var options = VerityExporter.Options()
        options.profile = flags.profile.profile
        options.replaces = replaces
        options.excludedFiles = excludedFiles
        return VerityExporter(to: directory, options)
    }

    func diskExporter(to directory: String, replaces: Bool) -> any Exporter {
        var options = RepartExporter.Options()
        options.diskSize = flags.diskSize
        options.replaces = replaces
        return RepartExporter(to: directory, options)
    }

    func encryptedExporter(to directory: String, replaces: Bool) throws -> any Exporter {
        var options = EMWPExporter.Options()
        options.profile = flags.profile.profile
        options.replaces = replaces
        return EMWPExporter(
            to: directory, masterKey: try MasterKey.load(file: flags.keyFile, else: diskKey, environment), options)
    }
}
