internal import ArgumentParser
internal import KapsuleCore
internal import ModelfileParser

/// What a person sees of an error.
enum ErrorReport {
    /// Ends in a newline.
    static func text(for error: any Error, in source: SourceText?) -> String {
        if let mistakes = error as? ModelfileMistakes { return mistakes.text }
        let error = self.error(error)
        let text = DiagnosticRenderer(source: source).render(error) + "\n"
        guard error.code == .defect else { return text }
        return text + "help: this is a bug of kapsule; please report it with this message and the output of --debug\n"
    }

    /// Any error as one with an exit status.
    static func error(_ error: any Error) -> KapsuleError {
        switch error {
        case let error as KapsuleError: error
        case let error as ModelfileMistakes: KapsuleError(.usage, id: "modelfile", "\(error.count) mistakes")
        case let error as ValidationError: KapsuleError(.usage, id: "usage", error.message)
        case is CancellationError: KapsuleError(.interrupted, id: "interrupted", "interrupted")
        default: KapsuleError(.defect, id: "unexpected", "\(error)", cause: error)
        }
    }
}
