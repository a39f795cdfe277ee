internal import Encryption
internal import KapsuleCore
internal import OCI

/// A layer of an image, as the ModelPack in a universal image names it: the same blob, with the words of the model-spec.
struct UniversalLayer {
    let descriptor: Descriptor

    /// - Parameters:
    ///   - layer: as the image names it; what it is encrypted with stays.
    ///   - files: of the model in it; none for the Modelfile's layer.
    init(_ layer: Descriptor, _ files: [ModelBundle.File], gzipped: Bool, _ time: String) {
        let classes = files.map { ModelPackClass($0.path, $0.role, size: $0.source.size) }
        // A layer has one kind. What is small and mixed is mostly configs and tokenizers.
        let isOneKind = Set(classes.map(\.kind)).count == 1
        let kind = isOneKind ? classes.first?.kind ?? .weightConfig : .weightConfig
        let type = ModelPackType.layer(kind, gzipped ? "tar+gzip" : "tar")
        var descriptor = layer
        descriptor.mediaType = EncryptedType.plain(layer.mediaType) == nil ? type : EncryptedType.of(type)
        descriptor.annotations.merge(Self.annotations(files, classes, isGuess: !isOneKind && files.count > 1, time)) {
            $1
        }
        self.descriptor = descriptor
    }

    private static func annotations(
        _ files: [ModelBundle.File], _ classes: [ModelPackClass], isGuess: Bool, _ time: String
    ) -> [String: String] {
        // Paths as in the archive.
        switch files.count {
        case 0: return [ModelPackType.Annotation.path: "\(ImageFormat.root)/\(ImageFormat.modelfilePath)"]
        case 1:
            return ModelPackFile.annotations(
                of: "\(ImageFormat.root)/\(files[0].path)", isExecutable: files[0].isExecutable,
                size: files[0].source.size, time: time, isGuess: classes[0].isGuess)
        default:
            return [
                ModelPackType.Annotation.path: ImageFormat.root,
                ModelPackType.Annotation.untested: isGuess ? "true" : "false",
            ]
        }
    }
}
