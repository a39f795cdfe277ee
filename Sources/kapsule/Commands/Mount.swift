internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO

struct Mount: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Have the kernel check an image and show its files.",
        discussion: """
            Runs cryptsetup, veritysetup and mount with every parameter, so that nothing is read from the image to open it.
            Needs root and a kernel with device-mapper; 'kapsule export IMAGE --format hf' needs neither.

              kapsule mount model.mpk /mnt --root-hash ROOTHASH_OFFSET_UUID --model-id NAME@REVISION
              kapsule mount model.emwp /mnt --root-hash ROOTHASH_OFFSET_UUID --key-file KEY
              kapsule mount --print=systemd model.mpk /srv/model --root-hash ROOTHASH_OFFSET_UUID
            """)

    @Argument(help: "A verity image, an encrypted disk or a disk of data and hashes.")
    var image: String

    @Argument(help: "The directory to show it at.")
    var directory: String

    @OptionGroup var printing: PrintOption
    @OptionGroup(title: "Image files") var proof: ProofFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        guard let file = try ImageFile(image, proof, toolbox) else {
            throw KapsuleError(
                .usage, id: "verity.not-a-file", "there is no image file '\(image)'",
                remedy: "build one with 'kapsule build --format verity'")
        }
        let sealed = try file.sealed()
        let plan = MountPlan(
            sealed, device: Directories.realPath(image) ?? image, directory: try MountPoint.path(directory, printing))
        let keyPath = proof.keyPath(toolbox.environment).map { Directories.realPath($0) ?? $0 }
        if let recipe = printing.recipe { return try toolbox.print(recipe.text(plan, keyFile: keyPath)) }
        let key = try sealed.volumeKey(masterKey: try proof.claim(for: file.file, toolbox.environment).masterKey)
        try Mounter(environment: toolbox.environment).mount(plan, volumeKey: key)
        try toolbox.print(plan.directory)
    }
}

struct Unmount: Verb {
    static let configuration = CommandConfiguration(
        commandName: "umount", abstract: "Take down what 'kapsule mount' set up.",
        discussion: "kapsule umount /mnt")

    @Argument(help: "The directory that 'kapsule mount' was given.")
    var directory: String

    @OptionGroup var printing: PrintOption
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let path = try MountPoint.path(directory, printing)
        if printing.recipe != nil {
            let crypt = "/dev/mapper/\(MountPlan.cryptName(MountPlan.name(forMountAt: path)))"
            let hasCrypt = try FileStatus.of(crypt, followsLinks: false) != nil
            return try toolbox.print(
                MountPlan.takeDown(path, hasCrypt: hasCrypt).map { $0.joined(separator: " ") }.joined(separator: "\n"))
        }
        try Mounter(environment: toolbox.environment).unmount(path)
    }
}

/// `--print`, alone or with what it should look like.
struct PrintOption: ParsableArguments {
    @Option(
        name: .customLong("print"),
        help: ArgumentHelp(
            "Only print the commands; or a recipe: --print=systemd, kata or fstab.", valueName: "recipe"))
    var style: PrintStyle?

    var recipe: MountRecipe? { style?.recipe }

    /// The option stands alone more often than not, and would take the next word for its value.
    static func completed(_ arguments: [String]) -> [String] {
        guard let verb = arguments.first, ["mount", "umount"].contains(verb) else { return arguments }
        return arguments.map { $0 == "--print" ? "--print=commands" : $0 }
    }
}

enum PrintStyle: String, ExpressibleByArgument, CaseIterable {
    case commands, systemd, kata, fstab

    var recipe: MountRecipe {
        switch self {
        case .commands: .commands
        case .systemd: .systemd
        case .kata: .kata
        case .fstab: .fstab
        }
    }
}

/// Where images are shown.
enum MountPoint {
    /// Absolute, and without links where it exists; what is only printed need not exist.
    static func path(_ text: String, _ printing: PrintOption) throws -> String {
        let isDirectory = try FileStatus.of(text, followsLinks: true)?.kind == .directory
        if isDirectory, let path = Directories.realPath(text) { return path }
        guard printing.recipe != nil else {
            throw KapsuleError(
                .usage, id: "mount.no-directory", "'\(text)' is not a directory",
                remedy: "make it first: mkdir -p \(text)")
        }
        return text.hasPrefix("/") ? text : "\(try Directories.current())/\(text)"
    }
}
