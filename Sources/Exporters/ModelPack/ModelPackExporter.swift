public import KapsuleCore
internal import OCI

/// Makes a CNCF ModelPack: a manifest with a layer for each file, which modctl and Docker Model Runner read.
///
/// Source: github.com/modelpack/model-spec, docs/spec.md.
public struct ModelPackExporter: Exporter {
    public let name = "modelpack"
    private let destination: any ImageDestination
    private let options: ImageExporter.Options
    private let form: ModelPackForm

    public init(to destination: any ImageDestination, _ options: ImageExporter.Options, form: ModelPackForm) {
        self.destination = destination
        self.options = options
        self.form = form
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        func refuse(_ what: String, _ remedy: String) -> KapsuleError {
            KapsuleError(.usage, id: "modelpack.option", what, remedy: remedy)
        }
        if options.base != nil {
            throw refuse("a ModelPack has no layers but the model's", "leave out --base, or use --format oci")
        }
        if options.platforms.count > 1 {
            throw refuse("a ModelPack is for no platform", "name one --platform at most, or use --format universal")
        }
        if form == .raw, options.compression != .none {
            throw refuse(
                "the layers of this ModelPack are the files as they are, which are not compressed",
                "leave out --compression, or have archives: --output type=modelpack,dest=DIR,layout=tar")
        }
        return ModelPackSession(bundle, to: destination, options, form)
    }
}
