internal import ArgumentParser
internal import Builder
internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser

struct ModelfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "modelfile", abstract: "Look at a Modelfile: parse, fmt, lint.",
        subcommands: [ParseModelfile.self, FormatModelfile.self, LintModelfile.self])
}

/// The one argument of the three.
struct ModelfileArgument: ParsableArguments {
    @Argument(help: "A Modelfile; - is standard input.")
    var file: String

    func parse(in toolbox: Toolbox) throws -> ParseResult {
        let bytes: [UInt8]
        if file == "-" {
            bytes = try StandardInput.readAll(limit: LoadedModelfile.longestModelfile)
        } else {
            bytes = try FileSource(path: file).readAll(limit: Int64(LoadedModelfile.longestModelfile), what: file)
        }
        return Parser.parse(bytes: bytes, file: file)
    }
}

struct ParseModelfile: Verb {
    static let configuration = CommandConfiguration(
        commandName: "parse", abstract: "Print the instructions.",
        discussion: "With --json an array in the order of the file, else a line an instruction.")

    @OptionGroup var modelfile: ModelfileArgument

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let result = try modelfile.parse(in: toolbox)
        try ModelfileMistakes.check(result, in: toolbox)
        if json { return try toolbox.print(result.modelfile.instructionsJSON.pretty) }
        var table = TextTable(.right("LINE"), .left("INSTRUCTION"), .left("VALUE"))
        for instruction in result.modelfile.instructions {
            let name = instruction.nameSpan == nil ? "" : "\(instruction.ollamaName) "
            let value = (name + instruction.value).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            table.add("\(instruction.wordSpan.line)", instruction.word.rawValue, value)
        }
        try toolbox.write(table.rendered())
    }
}

struct FormatModelfile: Verb {
    static let configuration = CommandConfiguration(
        commandName: "fmt", abstract: "Print a Modelfile in canonical form.",
        discussion: "What is printed parses back to the same instructions.")

    @OptionGroup var modelfile: ModelfileArgument

    @Flag(help: "Leave out EXCLUDE and ENCRYPT, which Ollama refuses.")
    var ollama = false

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let result = try modelfile.parse(in: toolbox)
        try ModelfileMistakes.check(result, in: toolbox)
        try toolbox.write(result.modelfile.canonicalText(ollamaCompatible: ollama))
    }
}

struct LintModelfile: Verb {
    static let configuration = CommandConfiguration(
        commandName: "lint", abstract: "Warn of what is allowed but rarely meant.",
        discussion: "Exit status 0 when there are warnings only, 2 when there are errors.")

    @OptionGroup var modelfile: ModelfileArgument
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let result = try modelfile.parse(in: toolbox)
        guard result.errors.isEmpty else { return try ModelfileMistakes.check(result, in: toolbox) }
        let directory = modelfile.file == "-" ? "." : Paths.directory(of: modelfile.file)
        let warnings =
            result.warnings + Lint.check(result.modelfile, paths: DiskLookup(base: directory))
            + FileLint.check(result.modelfile, context: directory)
        let renderer = DiagnosticRenderer(source: result.source)
        try toolbox.write(
            renderer.render(warnings.sorted { ($0.span.line, $0.span.column) < ($1.span.line, $1.span.column) }))
    }
}

/// What lint asks about the Modelfile's surroundings.
private struct DiskLookup: PathLookup {
    let base: String

    func kind(of path: String) -> PathKind {
        switch try? FileStatus.of(absolute(path), followsLinks: true)?.kind {
        case .directory?: .directory
        case nil: .missing
        default: .file
        }
    }

    func names(in directory: String) -> [String] { (try? Directories.names(in: absolute(directory))) ?? [] }

    private func absolute(_ path: String) -> String {
        if path.hasPrefix("~"), let home = try? CurrentProcess.home() { return home + path.dropFirst() }
        return path.hasPrefix("/") ? path : "\(base)/\(path)"
    }
}
