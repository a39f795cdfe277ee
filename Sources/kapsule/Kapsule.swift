internal import ArgumentParser
internal import KapsuleCore
internal import KapsuleIO

/// The root of the command line.
struct Kapsule: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "kapsule",
        abstract: "Builds machine-learning models from Modelfiles, and ships them.",
        discussion: """
            kapsule reads a Modelfile, reads each byte of the model once, and makes of it what was asked for: \
            an OCI image in a registry, in the local store, or in a directory.
            """,
        version: "kapsule \(version)",
        groupedSubcommands: [
            CommandGroup(name: "Making", subcommands: [Build.self, PlanCommand.self]),
            CommandGroup(name: "Moving", subcommands: [Pull.self, Push.self, Export.self]),
            CommandGroup(name: "Looking", subcommands: [Inspect.self, Verify.self, ModelfileCommand.self]),
            CommandGroup(name: "Mounting", subcommands: [Mount.self, Unmount.self]),
            CommandGroup(name: "Encryption", subcommands: [Keygen.self, Recipients.self]),
            CommandGroup(
                name: "The local store", subcommands: [List.self, Remove.self, Prune.self, DiskUsage.self]),
            CommandGroup(
                name: "Other", subcommands: [Login.self, Logout.self, Completion.self, VersionCommand.self]),
        ])
}

/// A command that does something. It blocks freely: it runs on threads that are ours.
protocol Verb: ParsableCommand {
    var output: OutputOptions { get }
    func run(in toolbox: Toolbox) async throws
}

@main
enum Main {
    // Not asynchronous: an asynchronous main leaves this thread suspended with no signal blocked, and the first Ctrl-C
    // would end the process there and then.
    static func main() {
        StandardStream.prepare()
        let interrupts = Interrupts()
        let executor = BlockingExecutor(threads: Limits.threads)
        let task = Task(executorPreference: executor) {
            let status = await run(Array(CommandLine.arguments.dropFirst()))
            CurrentProcess.exit(interrupts.received.map { 128 + $0 } ?? status)
        }
        interrupts.watch { task.cancel() }
        CurrentProcess.rest()
    }

    /// - Returns: the exit status.
    private static func run(_ arguments: [String]) async -> Int32 {
        do {
            let command = try Kapsule.parseAsRoot(PrintOption.completed(arguments))
            guard let verb = command as? any Verb else {
                var command = command
                try command.run()
                return 0
            }
            return await run(verb)
        } catch {
            return reportParsing(error)
        }
    }

    private static func run(_ verb: any Verb) async -> Int32 {
        let toolbox: Toolbox
        do {
            toolbox = try Toolbox(verb.output)
        } catch {
            try? StandardStream.error.write(ErrorReport.text(for: error, in: nil))
            return ErrorReport.error(error).code.rawValue
        }
        do {
            try await verb.run(in: toolbox)
            toolbox.finish()
            return 0
        } catch {
            toolbox.finish()
            return toolbox.report(error)
        }
    }

    /// Help and version go to stdout; what is wrong with the arguments to stderr, with status 2.
    private static func reportParsing(_ error: any Error) -> Int32 {
        let text = Kapsule.fullMessage(for: error)
        guard Kapsule.exitCode(for: error) != .success else {
            try? StandardStream.output.write(text + "\n")
            return 0
        }
        try? StandardStream.error.write(text + "\n")
        return KapsuleError.Code.usage.rawValue
    }
}

/// How much runs at one time.
enum Limits {
    /// Threads that may block: more than any fan-out has tasks, which are at most `mostConcurrency`.
    static let threads = mostConcurrency + 4
    static let mostConcurrency = 32
    /// Lanes or blobs at one time. Four keep two cores and a registry busy; more did not go faster.
    static let concurrency = 4
}
