internal import Builder
internal import KapsuleCore
internal import ModelfileParser

/// The kinds of FROM that are neither a path nor an image.
struct ModelSources {
    let toolbox: Toolbox
    let settings: BuildSettings

    /// - Parameter wants: which files are wanted; others are not looked at.
    /// - Returns: nil for a reference of another kind.
    func find(_ reference: SourceReference, wants: (BundlePath) -> Bool) throws -> FoundModel? {
        switch reference {
        case .path, .pathOrModelName, .registry, .layout, .archive: return nil
        case .hub: throw Self.unsupported("the Hugging Face hub")
        case .ollama: throw Self.unsupported("Ollama models")
        case .git: throw Self.unsupported("git repositories")
        }
    }

    private static func unsupported(_ what: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "source.unsupported", "this version of kapsule does not read \(what)",
            remedy: "fetch the model into a directory, and write FROM ./DIRECTORY")
    }
}
