public import KapsuleCore
internal import KapsuleIO
public import ModelfileParser
public import OCI
internal import Ollama

/// The model inside an image of Ollama's: GGUF files, and a Modelfile that says the rest.
public enum OllamaSource {
    /// - Parameters:
    ///   - name: as it was asked for, complete.
    ///   - wants: which files of the model are wanted.
    ///   - note: hears what is passed by.
    public static func find(
        in image: Image, named name: OllamaName, wants: (BundlePath) -> Bool, note: (String) -> Void
    ) throws -> FoundModel {
        let model = try OllamaModel(reading: image)
        for remark in model.remarks { note(remark) }
        let files = try model.files.map { (file: $0, path: try BundlePath(validating: $0.path)) }
        let wanted = files.filter { wants($0.path) }
        return FoundModel(
            name: name.short, revision: image.manifest.digest.description, origin: origin(name, image),
            candidates: try wanted.map { file, path in
                FoundModel.Candidate(
                    file: ModelBundle.File(
                        path: path, role: file.role, source: try image.origin.blob(file.descriptor)),
                    identity: "ollama \(file.word) \(file.descriptor.digest)")
            },
            modelfile: try model.modelfile(named: image.origin.name, keeping: { wants($0) }))
    }

    private static func origin(_ name: OllamaName, _ image: Image) -> Origin {
        Origin(
            url: "\(name.scheme)://\(name.host)/\(name.namespace)/\(name.model)",
            revision: image.manifest.digest.description, title: name.short)
    }
}
