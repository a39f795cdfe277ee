import KapsuleCore

/// What can be read but not used: the checks that Ollama makes behind its parser, and those of our own instructions.
extension Modelfile {
    var problems: [Diagnostic] {
        let sources = Set(instructions.filter { $0.word == .from }.map { Self.tidied($0.value) })
        return instructions.flatMap { $0.problems(besides: sources) }
    }

    /// Without the `./` in front that changes nothing.
    fileprivate static func tidied(_ path: String) -> String {
        var path = path[...]
        while path.hasPrefix("./") { path = path.dropFirst(2) }
        return String(path)
    }
}

extension Instruction {
    /// - Parameter sources: What FROM names in this file.
    fileprivate func problems(besides sources: Set<String>) -> [Diagnostic] {
        switch content {
        case .parameter(let name, let value): return parameterProblems(name, value)
        case .from(let value), .adapter(let value): return referenceProblems(value)
        case .draft(let value):
            let isSource = !value.isEmpty && sources.contains(Modelfile.tidied(value))
            return referenceProblems(value) + (isSource ? [draftIsSource] : [])
        case .requires(let value): return versionProblems(value)
        case .exclude(let patterns, _): return excludeProblems(patterns)
        case .encrypt(let recipient, let patterns, _): return encryptProblems(recipient, patterns)
        case .template, .system, .license, .message, .renderer, .parser: return []
        }
    }

    private func parameterProblems(_ name: String, _ value: String) -> [Diagnostic] {
        let nameSpan = nameSpan ?? span
        guard let definition = ParameterDefinition.named(name) else {
            guard !ParameterDefinition.deprecated.contains(name) else { return [] }
            return [unknownParameter(name, at: nameSpan)]
        }
        guard definition.canonical(value) == nil else { return [] }
        let shown = Printable.quoted(value)
        let (what, example) =
            switch definition.kind {
            case .integer: ("takes a whole number", "write decimal digits, such as 'PARAMETER \(name) 42'")
            case .float: ("takes a number", "write it with a decimal point, such as 'PARAMETER \(name) 0.7'")
            case .boolean, .texts:
                ("takes true or false", "write 'PARAMETER \(name) true' or 'PARAMETER \(name) false'")
            }
        return [
            .error(
                "bad-parameter-value", "\(name) \(what), not \(shown)",
                help: hint(for: value, definition.kind) ?? example, at: valueSpan)
        ]
    }

    /// What the usual slips ask for.
    private func hint(for value: String, _ kind: ParameterDefinition.Kind) -> String? {
        if value.contains(" #") || value.contains("\t#") {
            return "put the comment on a line of its own: '#' within a line belongs to the value"
        }
        if kind == .float, GoNumber.isSpecial(value) { return "write a finite number" }
        let point = String(value.map { $0 == "," ? "." : $0 })
        if kind == .float, GoNumber.float(point) != nil { return "write \(point), with a decimal point" }
        if kind == .integer, let whole = GoNumber.float(value), abs(whole) < 0x1p24, whole == Float(Int64(whole)) {
            return "write \(Int64(whole))"
        }
        if kind == .boolean {
            switch value.lowercased() {
            case "yes", "on", "y": return "write true"
            case "no", "off", "n": return "write false"
            default: return nil
            }
        }
        return nil
    }

    private func unknownParameter(_ name: String, at span: SourceSpan) -> Diagnostic {
        if ParameterDefinition.removed.contains(name) {
            return .error(
                "removed-parameter", "the parameter \(Printable.quoted(name)) was removed from Ollama",
                help: "delete the line", at: span)
        }
        let short = name.utf8.count <= 40 ? name : ""
        let nearest = Suggestion.nearest(to: short, among: ParameterDefinition.all.map(\.name))
        let word = InstructionWord(rawValue: short.uppercased())
        let list = ParameterDefinition.all.map(\.name).joined(separator: ", ")
        return .error(
            "unknown-parameter", "unknown parameter \(Printable.quoted(name, limit: 40))",
            help: nearest.map { "did you mean \($0)?" }
                ?? word.map { "\($0.rawValue) is an instruction of its own: write it without PARAMETER" }
                ?? "the parameters are \(list)", at: span)
    }

    private func referenceProblems(_ value: String) -> [Diagnostic] {
        guard !value.isEmpty else {
            return [
                .error(
                    "empty-value", "\(word.rawValue) names nothing",
                    help: "write a path or a reference behind it; the Modelfile's own directory is '.'", at: wordSpan)
            ]
        }
        do throws(KapsuleError) {
            _ = try SourceReference(parsing: value)
            return []
        } catch {
            return [problem(error, at: valueSpan)]
        }
    }

    private var draftIsSource: Diagnostic {
        .error(
            "draft-is-source", "DRAFT names the same model as FROM: \(Printable.quoted(value))",
            help: "name a smaller model that drafts for the one in FROM, or delete the line", at: valueSpan)
    }

    private func versionProblems(_ value: String) -> [Diagnostic] {
        guard SemanticVersion.normalised(value) == nil else { return [] }
        return [
            .error(
                "bad-version", "REQUIRES takes a version of Ollama, not \(Printable.quoted(value))",
                help: "write up to three numbers, such as 'REQUIRES 0.14.0'", at: value.isEmpty ? wordSpan : valueSpan)
        ]
    }

    private func excludeProblems(_ patterns: [Word]) -> [Diagnostic] {
        guard !patterns.isEmpty else {
            return [
                .error(
                    "empty-value", "EXCLUDE names no files", help: "write patterns behind it, such as 'EXCLUDE *.bin'",
                    at: wordSpan)
            ]
        }
        return patternProblems(patterns)
    }

    private func encryptProblems(_ recipient: Word, _ patterns: [Word]) -> [Diagnostic] {
        do throws(KapsuleError) {
            _ = try RecipientReference(parsing: recipient.text)
            return patternProblems(patterns)
        } catch {
            // A key written out bare goes on behind its first word.
            let isSecret = error.id == Diagnostic.secretID
            return [problem(error, at: isSecret ? valueSpan : recipient.text.isEmpty ? wordSpan : recipient.span)]
        }
    }

    private func patternProblems(_ patterns: [Word]) -> [Diagnostic] {
        patterns.filter { PathPattern($0.text) == nil }.map { pattern in
            .error(
                "bad-pattern", "the pattern \(Printable.quoted(pattern.text)) matches no file",
                help: "write a pattern as in .gitignore, such as *.bin or original/**", at: pattern.span)
        }
    }

    private func problem(_ error: KapsuleError, at span: SourceSpan) -> Diagnostic {
        Diagnostic(severity: .error, id: error.id, message: error.message, help: error.remedy, span: span)
    }
}
