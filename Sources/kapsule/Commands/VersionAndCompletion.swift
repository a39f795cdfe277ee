internal import ArgumentParser
internal import KapsuleCore

struct VersionCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        try toolbox.print(
            json ? JSON.members(["version": .string(Kapsule.version)]).pretty : "kapsule \(Kapsule.version)")
    }
}

struct Completion: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Print a completion script.", discussion: "kapsule completion bash > /etc/bash_completion.d/kapsule")

    @Argument(help: "bash, zsh or fish")
    var shell: Shell

    @OptionGroup(title: "Output") var output: OutputOptions

    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    func run(in toolbox: Toolbox) async throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        try toolbox.print(Kapsule.completionScript(for: kind))
    }
}
