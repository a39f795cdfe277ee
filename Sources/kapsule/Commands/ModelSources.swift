internal import Builder
internal import KapsuleCore
internal import ModelfileParser

/// The kinds of FROM that are neither a path nor an image.
struct ModelSources {
    let toolbox: Toolbox
    let settings: BuildSettings
    let locator: ImageLocator

    /// - Parameter wants: which files are wanted; others are not looked at.
    /// - Returns: nil for a reference of another kind.
    func find(_ reference: SourceReference, wants: (BundlePath) -> Bool) throws -> FoundModel? {
        switch reference {
        case .path, .registry, .layout, .archive: return nil
        case .pathOrModelName(let name): return try findStored(name, wants)
        case .hub(let reference):
            return try HubSource(toolbox: toolbox, noCache: settings.model.noCache).find(reference, wants)
        case .ollama(let name): return try withoutActuallyEscaping(wants) { try ollama($0).find(name) }
        case .git(let reference): return try GitSource(toolbox: toolbox).find(reference, wants)
        }
    }

    private func ollama(_ wants: @escaping (BundlePath) -> Bool) -> OllamaModels {
        OllamaModels(locator: locator.ollama, wants: wants)
    }

    /// A bare name that neither a path nor kapsule's own store has.
    private func findStored(_ text: String, _ wants: (BundlePath) -> Bool) throws -> FoundModel? {
        guard try !locator.hasStored(text), let name = try? OllamaName(parsing: text) else { return nil }
        return try withoutActuallyEscaping(wants) { try ollama($0).stored(name) }
    }

    /// A bare name that nothing on this machine has: Ollama would ask a registry now.
    func findDistant(_ text: String, wants: (BundlePath) -> Bool) throws -> FoundModel? {
        guard let name = try? OllamaName(parsing: text) else { return nil }
        do {
            return try withoutActuallyEscaping(wants) { try ollama($0).find(name) }
        } catch let error as KapsuleError where error.id == "registry.not-found" {
            return nil
        } catch let error as KapsuleError where error.code == .unavailable {
            throw KapsuleError(
                .unavailable, id: error.id,
                "'\(text)' is nothing on this machine, and \(name.host) cannot be asked for it: \(error.message)",
                remedy: error.remedy, cause: error)
        }
    }
}
