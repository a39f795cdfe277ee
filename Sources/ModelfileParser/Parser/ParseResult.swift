public import KapsuleCore

/// What came of reading a Modelfile: what could be read, and everything there is to say about it.
public struct ParseResult: Sendable {
    /// The text, for the renderer.
    public let source: SourceText
    /// What could be read. With errors it lacks the instructions they are about, or holds values that cannot be used.
    public let modelfile: Modelfile
    /// In the order of the file.
    public let diagnostics: [Diagnostic]

    public var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
    public var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }

    /// The Modelfile, if there is no error.
    ///
    /// - Throws: The first error; code `.usage`. A program that talks to people shows all of `diagnostics` instead.
    public func checked() throws(KapsuleError) -> Modelfile {
        if let first = errors.first { throw first.error }
        return modelfile
    }
}
