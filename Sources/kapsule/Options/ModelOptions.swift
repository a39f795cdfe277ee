internal import ArgumentParser
internal import Builder
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Store

/// Which model: a context with its Modelfile, or a source that stands for `FROM SOURCE`.
struct ModelOptions: ParsableArguments {
    @Argument(help: "A directory, or a source such as hf://ORG/NAME in place of a Modelfile.")
    var context: String?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("The Modelfile; - is standard input. Default: Modelfile in the context.", valueName: "path"))
    var file: String?

    @Option(help: ArgumentHelp("Leave out files that match, on top of EXCLUDE and the ignore file.", valueName: "glob"))
    var exclude: [String] = []

    @Option(help: ArgumentHelp("Take only files that match.", valueName: "glob"))
    var include: [String] = []

    @Option(
        help: ArgumentHelp("Put the model's layers on this image: KServe's sidecar needs a shell.", valueName: "ref"))
    var base: String?

    @Option(
        name: .customLong("build-arg"),
        help: ArgumentHelp(
            "SOURCE_DATE_EPOCH, HTTP_PROXY, HTTPS_PROXY or NO_PROXY for this build; Modelfiles have no ARG.",
            valueName: "name=value"))
    var buildArguments: [String] = []

    @Flag(name: .customLong("no-cache"), help: "Read and hash every file again.")
    var noCache = false

    func validate() throws {
        try CommonChecks.patterns(exclude + include)
        if file != nil, isSource {
            throw ValidationError(
                "'\(context ?? "")' stands in place of a Modelfile: leave out --file, or give a directory.")
        }
    }

    /// Whether the positional argument is a source rather than a directory.
    var isSource: Bool {
        guard let context else { return false }
        return context.contains("://")
            || ["oci:", "oci-archive:", "hf.co/", "huggingface.co/"].contains(where: context.hasPrefix)
    }

    var rules: ContextRules { ContextRules(exclude: PathFilter(exclude), include: PathFilter(include)) }
}

/// A Modelfile that was read, and where its paths start.
struct LoadedModelfile {
    let modelfile: Modelfile
    /// Absolute, every link resolved.
    let context: String

    /// Reads and checks the Modelfile; shows its warnings.
    ///
    /// - Throws: `ModelfileMistakes` when there are any.
    static func load(_ options: ModelOptions, in toolbox: Toolbox) throws -> LoadedModelfile {
        if options.isSource, let source = options.context {
            let result = Parser.parse("FROM \(source)\n", file: "command line")
            toolbox.remember(result.source)
            try ModelfileMistakes.check(result, in: toolbox)
            return LoadedModelfile(modelfile: result.modelfile, context: try Directories.current())
        }
        let context = try directory(options)
        let (bytes, name) = try text(options, context: context)
        let result = Parser.parse(bytes: bytes, file: name)
        toolbox.remember(result.source)
        try ModelfileMistakes.check(result, in: toolbox)
        return LoadedModelfile(modelfile: result.modelfile, context: context)
    }

    /// CONTEXT; without one the directory of `--file`, as Ollama has it; without that the working directory.
    private static func directory(_ options: ModelOptions) throws -> String {
        let beside = options.file.flatMap { $0 == "-" ? nil : Paths.directory(of: $0) }
        let named = options.context ?? beside ?? "."
        guard let path = Directories.realPath(named),
            try FileStatus.of(path, followsLinks: true)?.kind == .directory
        else {
            throw KapsuleError(
                .usage, id: "context.not-found", "the context '\(named)' is not a directory",
                remedy: "give a directory, or a source such as hf://ORG/NAME or oci://HOST/REPOSITORY:TAG")
        }
        return path
    }

    private static func text(_ options: ModelOptions, context: String) throws -> ([UInt8], String) {
        if options.file == "-" { return (try StandardInput.readAll(limit: longestModelfile), "-") }
        let named = try options.file ?? defaultName(in: context, as: options.context ?? ".")
        let source = try FileSource(path: named)
        return (try source.readAll(limit: Int64(longestModelfile), what: named), named)
    }

    private static func defaultName(in context: String, as named: String) throws -> String {
        for name in ["Modelfile", "ModelFile", "modelfile"] {
            guard try FileStatus.of("\(context)/\(name)", followsLinks: true)?.kind == .regular else { continue }
            return named == "." ? name : "\(named)/\(name)"
        }
        throw KapsuleError(
            .usage, id: "context.no-modelfile", "there is no Modelfile in \(context)",
            remedy: "write one (its first line: FROM .), or name it with --file")
    }

    /// Licences are in Modelfiles; weights are not. In bytes.
    static let longestModelfile = 256 << 20
}

/// Everything that is wrong with a Modelfile, shown at once.
struct ModelfileMistakes: Error {
    let text: String
    let count: Int

    /// Shows warnings; throws when there are errors.
    static func check(_ result: ParseResult, in toolbox: Toolbox) throws {
        let renderer = DiagnosticRenderer(source: result.source)
        guard result.errors.isEmpty else {
            throw ModelfileMistakes(text: renderer.render(result.diagnostics), count: result.errors.count)
        }
        for warning in result.warnings { toolbox.note(renderer.render(warning)) }
    }
}
