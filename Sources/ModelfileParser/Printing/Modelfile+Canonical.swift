extension Modelfile {
    /// The file in its canonical form, which reads back as the same instructions and prints as the same text again.
    ///
    /// Instructions keep their order and their quotes; comments stay in front of what they were in front of. Words are
    /// in capitals, one blank separates, several empty lines become one, lines end in LF. What is inside a value stays
    /// as it is, byte for byte.
    ///
    /// - Parameter ollamaCompatible: Whether to leave out what Ollama does not know: EXCLUDE and ENCRYPT, with the
    ///   comments right above them.
    public func canonicalText(ollamaCompatible: Bool = false) -> String {
        var writer = ModelfileWriter()
        for instruction in instructions {
            guard !(ollamaCompatible && instruction.word.isOurs) else {
                let own = instruction.leading.lastIndex(of: .blankLine).map { $0 + 1 } ?? 0
                writer.write(instruction.leading[..<own])
                continue
            }
            writer.write(instruction.leading[...])
            writer.write(instruction)
        }
        writer.write(trailing[...])
        return writer.text
    }
}

/// Puts a Modelfile together, line by line.
struct ModelfileWriter {
    private(set) var text = ""
    private var owesBlankLine = false

    mutating func write(_ trivia: ArraySlice<Instruction.Trivia>) {
        for item in trivia {
            switch item {
            case .blankLine: owesBlankLine = true
            case .comment(let comment): writeLine(comment)
            }
        }
    }

    mutating func write(_ instruction: Instruction) {
        var line = instruction.word.rawValue + " "
        switch instruction.content {
        case .parameter(let name, _): line += name + " "
        case .message(let role, _): line += role.rawValue + " "
        default: break
        }
        writeLine(line + Self.form(of: instruction))
    }

    /// The value in its own quotes: what held it once holds it again. An empty value is written as `""`.
    private static func form(of instruction: Instruction) -> String {
        let value = instruction.value
        let preferred = value.isEmpty ? nil : instruction.quoting
        guard let form = ValueForm.text(of: value, preferring: preferred) else {
            preconditionFailure("a value that was read cannot be written: \(Printable.quoted(value))")
        }
        return form
    }

    /// Writes one line, or several when a value has them, after the blank line that is owed.
    mutating func writeLine(_ line: String) {
        if owesBlankLine, !text.isEmpty { text += "\n" }
        owesBlankLine = false
        text += line + "\n"
    }
}
