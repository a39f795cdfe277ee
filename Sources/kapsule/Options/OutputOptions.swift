internal import ArgumentParser
internal import KapsuleCore

/// How a command is heard.
struct OutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How progress is shown: auto, tty, plain, json or none.", valueName: "mode"))
    var progress: ProgressMode?

    @Flag(name: [.short, .long], help: "Print the result only.")
    var quiet = false

    @Flag(help: "Log what is done, to stderr. Secrets are left out.")
    var debug = false

    /// Flags beat `KAPSULE_PROGRESS`, which beats what the terminal suggests.
    ///
    /// - Throws: `.usage` for a variable that says nothing known.
    func mode(_ environment: [String: String]) throws -> ProgressMode {
        quiet ? .none : try progress ?? fromEnvironment(environment) ?? .auto
    }

    private func fromEnvironment(_ environment: [String: String]) throws -> ProgressMode? {
        guard let value = environment["KAPSULE_PROGRESS"], !value.isEmpty else { return nil }
        guard let choice = ProgressMode(rawValue: value) else {
            throw KapsuleError(
                .usage, id: "usage.progress", "KAPSULE_PROGRESS is '\(value)', which is no way of showing progress",
                remedy: "set it to auto, tty, plain, json or none")
        }
        return choice
    }
}

extension ProgressMode: ExpressibleByArgument {}
