import KapsuleCore

/// The word between the instruction and its value: a parameter's name, a message's role.
extension InstructionReader {
    /// Reads a parameter's name and the blank after it. Nil, with the mistake reported, if that is not there.
    mutating func readParameterName() -> Range<Int>? {
        skipBlanks()
        let name = take(while: CharacterClass.isNameByte)
        switch byte(at: offset) {
        case .some(let byte) where CharacterClass.isBlank(byte):
            offset += 1
            return name
        case nil, 0x0A, 0x0D: report(missingParameterValue(name))
        case UInt8(ascii: "="), UInt8(ascii: ":"):
            report(
                .error(
                    "missing-blank",
                    "a blank stands between a parameter and its value, not \(Printable.quoted(text(offset..<offset + 1)))",
                    help: "write 'PARAMETER \(text(name)) VALUE'", at: source.span(offset..<offset + 1)))
            offset += 1
            skipValue()
        default: reportBadName(from: name.lowerBound)
        }
        return nil
    }

    private func missingParameterValue(_ name: Range<Int>) -> Diagnostic {
        guard !name.isEmpty else {
            return .error(
                "missing-value", "PARAMETER needs a name and a value", help: "write 'PARAMETER temperature 0.7'",
                at: source.span(offset..<offset))
        }
        return .error(
            "missing-value", "the parameter \(Printable.quoted(text(name))) has no value",
            help: "write the value behind the name, on the same line", at: source.span(name))
    }

    private mutating func reportBadName(from start: Int) {
        let token = takeToken(from: start)
        let candidate = String(text(token).prefix(40).map { $0 == "-" ? "_" : $0 })
        let nearest = Suggestion.nearest(to: candidate, among: ParameterDefinition.all.map(\.name))
        report(
            .error(
                "bad-parameter-name",
                "\(Printable.quoted(text(token), limit: 40)) is no parameter name: a parameter name may contain letters, digits and _",
                help: nearest.map { "did you mean \($0)?" }
                    ?? "write a name such as temperature, then a blank and a value",
                at: source.span(token)))
        skipValue()
    }

    /// Reads a message's role and the blank after it. Nil, with the mistake reported, if that is not there.
    mutating func readRole() -> Range<Int>? {
        skipBlanks()
        let role = take(while: CharacterClass.isLetter)
        let next = byte(at: offset)
        if let next, CharacterClass.isBlank(next) {
            let isRole = Instruction.MessageRole(rawValue: text(role)) != nil
            if isRole {
                offset += 1
                return role
            }
            reportBadRole(role)
        } else if next.map(CharacterClass.isNewline) ?? true {
            report(
                .error(
                    "missing-value",
                    role.isEmpty
                        ? "MESSAGE needs a role and a text"
                        : "the message of \(Printable.quoted(text(role))) has no text",
                    help: "write 'MESSAGE user Why is the sky blue?'", at: source.span(role)))
            return nil
        } else {
            reportBadRole(takeToken(from: role.lowerBound))
        }
        skipValue()
        return nil
    }

    private mutating func reportBadRole(_ token: Range<Int>) {
        let letters = text(token).lowercased().filter { $0.isASCII && $0.isLetter }
        let roles = Instruction.MessageRole.allCases.map(\.rawValue)
        let nearest = Suggestion.nearest(to: String(letters.prefix(40)), among: roles)
        report(
            .error(
                "bad-role", "unknown message role \(Printable.quoted(text(token), limit: 40))",
                help: nearest.map { "write 'MESSAGE \($0) …', with a blank behind the role" }
                    ?? "the roles are system, user and assistant", at: source.span(token)))
    }

    // MARK: Steps

    private mutating func skipBlanks() {
        while let byte = byte(at: offset), CharacterClass.isBlank(byte) { offset += 1 }
    }

    private mutating func take(while isPart: (UInt8) -> Bool) -> Range<Int> {
        let start = offset
        while let byte = byte(at: offset), isPart(byte) { offset += 1 }
        return start..<offset
    }

    /// What stands from `start` to the next blank or newline, which becomes the place to go on from.
    mutating func takeToken(from start: Int) -> Range<Int> {
        while let byte = byte(at: offset), !CharacterClass.isBlank(byte), !CharacterClass.isNewline(byte) {
            offset += 1
        }
        return start..<offset
    }

    /// The beginning of a stretch of text, for messages.
    func text(_ range: Range<Int>) -> String {
        let end = UTF8Text.boundary(source.utf8, at: min(range.upperBound, range.lowerBound + 400))
        return source.text(range.lowerBound..<max(end, range.lowerBound))
    }
}
