internal import Builder
internal import KapsuleCore
internal import ModelfileParser
internal import OCI
internal import Ollama

/// FROM a model by the name that Ollama knows it by: of a store on this machine, else of the registry in its name.
struct OllamaModels {
    let locator: OllamaLocator
    let wants: (BundlePath) -> Bool

    func find(_ name: OllamaName) throws -> FoundModel {
        if let found = try stored(name) { return found }
        return try model(try locator.remote(name), name)
    }

    /// Nil where no store on this machine has it.
    func stored(_ name: OllamaName) throws -> FoundModel? {
        try locator.stored(name).map { try model($0, name) }
    }

    private func model(_ origin: any ImageOrigin, _ name: OllamaName) throws -> FoundModel {
        let image = try Image(origin)
        return try OllamaSource.find(
            in: image, named: name.short,
            origin: Origin(
                url: "\(name.scheme)://\(name.host)/\(name.namespace)/\(name.model)",
                revision: image.manifest.digest.description, title: name.short),
            wants: wants, note: { locator.toolbox.note("note: \($0)") })
    }
}
