public import KapsuleCore

/// Shows a diagnostic, or any error that names a line, with the line and a caret.
///
/// ```
/// Modelfile:3:6: error: cannot fetch meta-llama/Llama-3.2-1B from the hub: its licence is not accepted (403)
///   3 | FROM hf://meta-llama/Llama-3.2-1B@4e20de3
///     |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
/// help: accept it at https://huggingface.co/meta-llama/Llama-3.2-1B
/// ```
///
/// Nothing of the file or of a message reaches the terminal as a control character, and a secret in the file is masked.
public struct DiagnosticRenderer: Sendable {
    private let source: SourceText?

    /// - Parameter source: The text that spans point into. Without it, or for a span in another file, the line is left out.
    public init(source: SourceText?) { self.source = source }

    /// Several lines, the last without a newline.
    public func render(_ diagnostic: Diagnostic) -> String {
        render(
            diagnostic.severity.rawValue, diagnostic.message, help: diagnostic.help, at: diagnostic.span,
            isSecret: diagnostic.id == Diagnostic.secretID)
    }

    /// Several lines, the last without a newline; for an error without a span, its message and what to do.
    public func render(_ error: KapsuleError) -> String {
        render(
            "error", error.message, help: error.remedy, at: error.span, isSecret: error.id == Diagnostic.secretID)
    }

    /// All of them, one after the other, each ended by a newline.
    public func render(_ diagnostics: [Diagnostic]) -> String {
        diagnostics.map { render($0) + "\n" }.joined()
    }

    private func render(
        _ severity: String, _ message: String, help: String?, at span: SourceSpan?, isSecret: Bool
    ) -> String {
        var text = "\(severity): \(Printable.escaped(message))"
        if let span {
            text = "\(Printable.escaped(span.file)):\(span.line):\(span.column): \(text)"
            text += excerpt(at: span, isSecret: isSecret)
        }
        if let help { text += "\nhelp: \(Printable.escaped(help))" }
        return text
    }

    private func excerpt(at span: SourceSpan, isSecret: Bool) -> String {
        guard let source, source.file == span.file, let line = source.line(span.line), !line.isEmpty else { return "" }
        let start = max(0, span.column - 1)
        let excerpt = SourceExcerpt(line, marking: start..<start + max(0, span.length), isMasked: isSecret)
        let number = String(span.line)
        let gutter = String(repeating: " ", count: number.utf8.count)
        return "\n  \(number) | \(excerpt.line)\n  \(gutter) | \(excerpt.carets)"
    }
}
