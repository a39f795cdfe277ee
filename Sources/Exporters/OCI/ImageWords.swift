internal import KapsuleCore
internal import OCI

/// What an image says in words: its config, its annotations.
enum ImageWords {
    /// The time that stands where none is known: images of equal bytes have equal digests.
    static let epoch = "1970-01-01T00:00:00Z"

    /// Canonical JSON. On a base, the base's own members are kept, and layers, history and labels are added.
    static func config(
        of bundle: ModelBundle, _ layers: [DescribedLayer], platform: Platform, _ options: ImageExporter.Options
    ) -> [UInt8] {
        var config = ImageConfig(platform: platform, diffIDs: layers.map(\.diffID))
        config.created = options.created
        config.labels = annotations(of: bundle)
        config.history = layers.map { .init(created: options.created ?? epoch, createdBy: $0.createdBy) }
        guard let base = options.base else { return config.encoded().bytes }
        return Array(base.config.extended(by: config).compact.utf8)
    }

    /// Where the model came from. Nothing that changes between equal builds.
    ///
    /// Source: OCI image-spec v1.1, annotations.md.
    static func annotations(of bundle: ModelBundle) -> [String: String] {
        var annotations: [String: String] = [:]
        annotations["org.opencontainers.image.source"] = bundle.origin.url
        annotations["org.opencontainers.image.revision"] = bundle.origin.revision
        annotations["org.opencontainers.image.title"] = bundle.origin.title
        annotations["org.opencontainers.image.licenses"] = bundle.origin.licenses
        return annotations
    }
}
