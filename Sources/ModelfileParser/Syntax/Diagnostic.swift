public import KapsuleCore

/// Something to say about a place in a Modelfile.
public struct Diagnostic: Sendable, Hashable {
    public enum Severity: String, Sendable, Hashable { case error, warning }

    public let severity: Severity
    /// Stable, for scripts, tests and the documentation: `modelfile.unknown-instruction`.
    public let id: String
    /// One sentence with the value in it, no full stop.
    public let message: String
    /// What to do next, as an instruction.
    public let help: String?
    public let span: SourceSpan

    /// The mistake of writing a secret where others read it. The renderer masks the span of it.
    public static let secretID = "modelfile.secret-in-file"

    /// The same as an error to throw; exit status 2.
    public var error: KapsuleError { KapsuleError(.usage, id: id, message, remedy: help, at: span) }

    static func error(_ id: String, _ message: String, help: String?, at span: SourceSpan) -> Diagnostic {
        Diagnostic(severity: .error, id: "modelfile.\(id)", message: message, help: help, span: span)
    }

    public static func warning(_ id: String, _ message: String, help: String?, at span: SourceSpan) -> Diagnostic {
        Diagnostic(severity: .warning, id: "modelfile.\(id)", message: message, help: help, span: span)
    }
}

extension [Diagnostic] {
    /// In the order of the file; those at one place stay in the order they were made.
    func inFileOrder() -> [Diagnostic] {
        enumerated().sorted { a, b in
            (a.element.span.line, a.element.span.column, a.offset)
                < (b.element.span.line, b.element.span.column, b.offset)
        }.map(\.element)
    }
}
