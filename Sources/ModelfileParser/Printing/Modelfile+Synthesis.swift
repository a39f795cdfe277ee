public import KapsuleCore

extension Modelfile {
    /// The Modelfile that says what `card` says, for a model made of `from`, `adapters` and `drafts`.
    ///
    /// FROM, ADAPTER, DRAFT, TEMPLATE, SYSTEM, RENDERER, PARSER, REQUIRES, PARAMETER, LICENSE, MESSAGE, in this order;
    /// parameters ascending by name, then in the card's order; integers without exponent. Equal cards give equal bytes, and
    /// `Parser.parse(…).modelfile.card` gives back a card that came from a Modelfile.
    ///
    /// - Precondition: `from` is not empty: a Modelfile has a FROM.
    /// - Throws: `modelfile.unprintable-value` for a value that no quotes can hold.
    public static func synthesised(
        card: ModelCard, from: [String], adapters: [String] = [], drafts: [String] = []
    ) throws(KapsuleError) -> String {
        precondition(!from.isEmpty, "a Modelfile has a FROM")
        var text = ""
        func write(_ words: String, _ value: String) throws(KapsuleError) {
            guard let form = ValueForm.text(of: value) else { throw unprintable(words, value) }
            text += "\(words) \(form)\n"
        }
        for source in from { try write("FROM", source) }
        for adapter in adapters { try write("ADAPTER", adapter) }
        for draft in drafts { try write("DRAFT", draft) }
        let single = [
            ("TEMPLATE", card.template), ("SYSTEM", card.system), ("RENDERER", card.renderer), ("PARSER", card.parser),
            ("REQUIRES", card.requires),
        ]
        for (word, value) in single {
            if let value, !value.isEmpty { try write(word, value) }
        }
        for parameter in sorted(card.parameters) {
            guard !parameter.name.isEmpty, parameter.name.utf8.allSatisfy(CharacterClass.isNameByte) else {
                throw unprintable("PARAMETER", parameter.name)
            }
            try write("PARAMETER \(parameter.name)", plain(parameter))
        }
        for license in card.licenses { try write("LICENSE", license) }
        for message in card.messages {
            guard Instruction.MessageRole(rawValue: message.role) != nil else {
                throw unprintable("MESSAGE", message.role)
            }
            try write("MESSAGE \(message.role)", message.text)
        }
        return text
    }

    /// By name; those of one name in the order they came.
    private static func sorted(_ parameters: [ModelCard.Parameter]) -> [ModelCard.Parameter] {
        parameters.enumerated().sorted { a, b in
            a.element.name == b.element.name
                ? a.offset < b.offset : a.element.name.utf8.lexicographicallyPrecedes(b.element.name.utf8)
        }.map(\.element)
    }

    /// The value as its parameter takes it: Ollama's own store has `1e+06` for an integer, which its parser refuses.
    private static func plain(_ parameter: ModelCard.Parameter) -> String {
        guard let definition = ParameterDefinition.named(parameter.name) else { return parameter.value }
        if let canonical = definition.canonical(parameter.value) { return canonical }
        guard definition.kind == .integer, let number = Double(parameter.value), abs(number) < 0x1p53,
            number == Double(Int64(number))
        else { return parameter.value }
        return String(Int64(number))
    }

    private static func unprintable(_ words: String, _ value: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "modelfile.unprintable-value",
            "no Modelfile can hold this value of \(words): \(Printable.quoted(value))",
            remedy:
                "take out control characters, and the line ends behind triple quotes: Modelfiles have no way to escape them"
        )
    }
}
