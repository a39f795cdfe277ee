public import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
public import OCI
internal import Ollama

/// The model inside an image of Ollama's: GGUF files, and a Modelfile that says the rest.
public enum OllamaSource {
    /// Whether an image is one of Ollama's.
    public static func isOllama(_ image: Image) -> Bool { OllamaModel.isOllama(image.manifest.content) }

    /// - Parameters:
    ///   - name: for the identity.
    ///   - wants: which files of the model are wanted.
    ///   - note: hears what is passed by.
    public static func find(
        in image: Image, named name: String, origin: Origin, wants: (BundlePath) -> Bool, note: (String) -> Void
    ) throws -> FoundModel {
        let model = try OllamaModel(reading: image)
        var origin = origin
        origin.isOllamas = true
        for remark in model.remarks { note(remark) }
        let files = try model.files.map { (file: $0, path: try BundlePath(validating: $0.path)) }
        return FoundModel(
            name: name, revision: image.manifest.digest.description, origin: origin,
            candidates: try files.filter { wants($0.path) }.map { file, path in
                FoundModel.Candidate(
                    file: ModelBundle.File(path: path, role: file.role, source: try image.origin.blob(file.descriptor)),
                    identity: "ollama \(file.path) \(file.descriptor.digest)")
            },
            modelfile: try model.modelfile(named: image.origin.name, keeping: wants))
    }
}
