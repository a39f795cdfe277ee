public import KapsuleCore

extension Modelfile {
    /// What the file says of the model, with the rules of repetition applied: the last line wins, but licences,
    /// messages and `stop` accumulate. An empty SYSTEM, TEMPLATE, RENDERER or PARSER is one that is not set.
    ///
    /// Parameters are ascending by name, their values in the one spelling that their meaning has
    /// (`ParameterDefinition.canonical`); deprecated ones are left out, as Ollama leaves them out.
    public var card: ModelCard {
        var card = ModelCard()
        var parameters: [String: [String]] = [:]
        for instruction in instructions {
            switch instruction.content {
            case .parameter(let name, let value): Self.add(name, value, to: &parameters)
            case .template(let text): card.template = text.isEmpty ? nil : text
            case .system(let text): card.system = text.isEmpty ? nil : text
            case .license(let text): card.licenses.append(text)
            case .message(let role, let text): card.messages.append(.init(role: role.rawValue, text: text))
            case .renderer(let name): card.renderer = name.isEmpty ? nil : name
            case .parser(let name): card.parser = name.isEmpty ? nil : name
            case .requires(let version): card.requires = SemanticVersion.normalised(version)
            case .from, .adapter, .draft, .exclude, .encrypt: break
            }
        }
        card.parameters = parameters.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.flatMap { name in
            (parameters[name] ?? []).map { .init(name: name, value: $0) }
        }
        return card
    }

    private static func add(_ name: String, _ value: String, to parameters: inout [String: [String]]) {
        guard !ParameterDefinition.deprecated.contains(name) else { return }
        let definition = ParameterDefinition.named(name)
        let canonical = definition?.canonical(value) ?? value
        if definition?.kind == .texts {
            parameters[name, default: []].append(canonical)
        } else {
            parameters[name] = [canonical]
        }
    }
}
