/// Finds the form in which a value can be written so that it is read back the same.
enum ValueForm {
    /// `value` as it stands in a file: in `preferred` quotes if they hold it, otherwise in the plainest that do.
    ///
    /// A value goes bare on one line, in three quotes over several. Nil where no form holds it: there is no escaping, so
    /// one with a control character, or with a line that ends in three quotes before its last, cannot be written.
    ///
    /// - Complexity: linear; the scanner itself is asked.
    static func text(of value: String, preferring preferred: Quoting? = nil) -> String? {
        let forms = (preferred.map { [$0] } ?? []) + order(for: value)
        for form in forms {
            let text = form.mark + value + form.mark
            if isRead(text, as: value, form) { return text }
        }
        return nil
    }

    /// Quotes around quotes are three, as Ollama prints them.
    private static func order(for value: String) -> [Quoting] {
        if value.isEmpty { return [.double] }
        if value.utf8.contains(where: CharacterClass.isNewline) { return [.triple, .double] }
        let hasQuotes = value.utf8.contains(UInt8(ascii: "\""))
        return hasQuotes ? [.bare, .triple, .double] : [.bare, .double, .triple]
    }

    private static func isRead(_ text: String, as value: String, _ form: Quoting) -> Bool {
        let bytes = Array(text.utf8)
        guard case .value(let scanned) = ValueScanner.scan(bytes, from: 0) else { return false }
        return scanned.quoting == form && scanned.end == bytes.count && scanned.text.utf8.elementsEqual(value.utf8)
    }
}
