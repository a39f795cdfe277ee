/// Something the person running kapsule can act on.
public struct KapsuleError: Error, Sendable {
    /// The exit statuses of the command line, so that there is nothing to map.
    public enum Code: Int32, Sendable {
        case defect = 1, usage, unauthorized, noSpace, unavailable, conflict, partial, unverified, undecryptable
        case interrupted = 130
    }
    public var code: Code
    /// Stable, for scripts, tests and the documentation: `modelfile.unknown-instruction`, `hub.gated`.
    public var id: String
    /// What failed, on which object, and why: one sentence with the value in it, no full stop.
    public var message: String
    /// What to do next, as an instruction. Nil only where nothing can be suggested.
    public var remedy: String?
    /// The Modelfile line behind it.
    public var span: SourceSpan?
    public var cause: (any Error)?

    public init(
        _ code: Code, id: String, _ message: String, remedy: String? = nil, at span: SourceSpan? = nil,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.id = id
        self.message = message
        self.remedy = remedy
        self.span = span
        self.cause = cause
    }

    /// The same error with what was being done in front: `while pushing layer 2 of 5`.
    public func `while`(_ doing: String) -> KapsuleError {
        var error = self
        error.message = "while \(doing): \(message)"
        return error
    }

    /// The same error, blamed on `span` unless it already names a line.
    public func blaming(_ span: SourceSpan?) -> KapsuleError {
        var error = self
        error.span = error.span ?? span
        return error
    }
}

/// Runs `body`; an error that comes out of it says what was being done.
public func doing<T>(_ what: @autoclosure () -> String, _ body: () throws -> T) throws -> T {
    do {
        return try body()
    } catch let error as KapsuleError {
        throw error.while(what())
    }
}
