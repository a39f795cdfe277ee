import KapsuleCore

/// What lint may ask about the Modelfile's surroundings. Paths are as the Modelfile has them: relative ones are
/// relative to its directory.
public protocol PathLookup {
    func kind(of path: String) -> PathKind
    /// The names in a directory, for suggestions; none if it cannot be read.
    func names(in directory: String) -> [String]
}

public enum PathKind: Sendable, Hashable { case file, directory, missing }

/// Finds what is allowed but rarely meant. Every warning says what to write instead.
///
/// The module does no I/O: what exists is asked of a `PathLookup`, and without one those checks are left out.
public struct Lint {
    private let modelfile: Modelfile
    private let paths: (any PathLookup)?
    private var found: [Diagnostic] = []

    /// The warnings, in the order of the file.
    public static func check(_ modelfile: Modelfile, paths: (any PathLookup)? = nil) -> [Diagnostic] {
        var lint = Lint(modelfile: modelfile, paths: paths)
        for instruction in modelfile.instructions { lint.check(instruction) }
        lint.checkRepetition()
        return lint.found.inFileOrder()
    }

    private init(modelfile: Modelfile, paths: (any PathLookup)?) {
        self.modelfile = modelfile
        self.paths = paths
    }

    private mutating func check(_ instruction: Instruction) {
        switch instruction.content {
        case .from(let value):
            checkTrailingComment(instruction)
            checkReference(value, instruction)
        case .adapter(let value), .draft(let value):
            checkTrailingComment(instruction)
            checkReference(value, instruction)
        case .parameter(let name, _): checkParameter(name, instruction)
        case .template(let text): checkTemplate(text, instruction)
        case .exclude, .renderer, .parser: checkTrailingComment(instruction)
        case .encrypt(let recipient, _, _):
            checkTrailingComment(instruction)
            checkRecipient(recipient)
        case .system, .license, .message, .requires: break
        }
    }

    private mutating func warn(_ id: String, _ message: String, help: String, at span: SourceSpan) {
        found.append(.warning(id, message, help: help, at: span))
    }

    // MARK: Values

    private mutating func checkParameter(_ name: String, _ instruction: Instruction) {
        if name == "stop" { checkTrailingComment(instruction) }
        guard ParameterDefinition.deprecated.contains(name) else { return }
        warn(
            "deprecated-parameter", "the parameter \(Printable.quoted(name)) is deprecated and has no effect",
            help: "delete the line", at: instruction.nameSpan ?? instruction.span)
    }

    private mutating func checkTemplate(_ text: String, _ instruction: Instruction) {
        guard !text.isEmpty, !text.contains("{{") else { return }
        warn(
            "constant-template", "the TEMPLATE has no {{ }}: the model would get the same text whatever is asked",
            help: "write {{ .Prompt }} where the prompt goes", at: instruction.valueSpan)
    }

    private mutating func checkTrailingComment(_ instruction: Instruction) {
        let value = instruction.value
        guard instruction.quoting == .bare, value.contains(" #") || value.contains("\t#") || value.hasPrefix("#") else {
            return
        }
        warn(
            "trailing-comment",
            "'#' within a line begins no comment: it belongs to the value of \(instruction.word.rawValue)",
            help: "put the comment on a line of its own, or the value in quotes if it is meant so",
            at: instruction.valueSpan)
    }

    // MARK: References

    private mutating func checkReference(_ value: String, _ instruction: Instruction) {
        guard let reference = try? SourceReference(parsing: value) else { return }
        switch reference {
        case .path(let path): checkExists(path, instruction.word.rawValue, at: instruction.valueSpan)
        case .pathOrModelName(let text): checkWord(text, instruction)
        case .hub(let hub) where !hub.isPinned:
            warnUnpinned(
                hub.revision.map { "follows \(Printable.quoted($0))" } ?? "follows the default branch",
                "hf://\(hub.repository)\(hub.quantisation.map { ":" + $0 } ?? "")@COMMIT, the whole commit of 40 hex digits",
                instruction)
        case .registry(let image) where !image.isPinned:
            warnUnpinned(
                "follows the tag \(Printable.quoted(image.tag ?? "latest"))", "oci://\(image.text)@sha256:DIGEST",
                instruction)
        case .git(let git) where !git.isPinned:
            warnUnpinned(
                git.revision.map { "follows \(Printable.quoted($0))" } ?? "follows the default branch",
                "git+\(git.url)@COMMIT, the whole commit of 40 hex digits", instruction)
        case .layout(let image), .archive(let image):
            checkExists(image.path, instruction.word.rawValue, at: instruction.valueSpan)
        case .hub, .registry, .git, .ollama: break
        }
    }

    private mutating func warnUnpinned(_ problem: String, _ pinned: String, _ instruction: Instruction) {
        warn(
            "unpinned-source", "\(Printable.quoted(instruction.value)) \(problem): another day may build another model",
            help: "pin it: \(pinned)", at: instruction.valueSpan)
    }

    /// A bare word: a directory of that name hides the model of that name.
    private mutating func checkWord(_ text: String, _ instruction: Instruction) {
        guard let paths else { return }
        switch paths.kind(of: text) {
        case .file: break
        case .directory
        where instruction.word == .from && (try? OllamaName(parsing: text)) != nil && !text.contains("/"):
            warn(
                "shadowed-model",
                "\(Printable.quoted(text)) is taken for the directory of that name, not for a model's name",
                help: "write ./\(text) if the directory is meant, ollama://\(text) if the model is",
                at: instruction.valueSpan)
        case .directory: break
        case .missing:
            if instruction.word != .from {
                checkExists(text, instruction.word.rawValue, at: instruction.valueSpan)
            }
        }
    }

    private mutating func checkRecipient(_ recipient: Instruction.Word) {
        guard let path = (try? RecipientReference(parsing: recipient.text))?.path else { return }
        checkExists(path, InstructionWord.encrypt.rawValue, at: recipient.span)
    }

    private mutating func checkExists(_ path: String, _ word: String, at span: SourceSpan) {
        guard let paths, !path.hasPrefix("~"), paths.kind(of: path) == .missing else { return }
        let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        let directory = slash == path.startIndex ? "." : String(path[..<slash])
        let nearest = Suggestion.nearest(
            to: String(path[slash...].prefix(255)), among: paths.names(in: directory).sorted())
        warn(
            "missing-path", "\(word) names \(Printable.quoted(path)), which does not exist",
            help: nearest.map { "did you mean \(path[..<slash])\($0)?" }
                ?? "paths are relative to the Modelfile: check the name, or create the file", at: span)
    }

    // MARK: Repetition

    /// Lines that a later one of the same kind makes void.
    private mutating func checkRepetition() {
        var last: [String: Int] = [:]
        for instruction in modelfile.instructions.reversed() {
            guard let key = Self.key(instruction) else { continue }
            guard let line = last[key] else {
                last[key] = instruction.span.line
                continue
            }
            warn(
                "overridden", "this \(key) has no effect: line \(line) has another",
                help: "delete one of the two lines",
                at: instruction.span)
        }
    }

    private static func key(_ instruction: Instruction) -> String? {
        if instruction.word.isSingle { return instruction.word.rawValue }
        guard case .parameter(let name, _) = instruction.content, let definition = ParameterDefinition.named(name),
            definition.kind != .texts
        else { return nil }
        return "PARAMETER \(name)"
    }
}
