public import KapsuleCore
public import OCI

/// Makes an OCI image that containerd, CRI-O and podman mount and KServe reads: tar layers below `/models/`, one for
/// each lane of the bundle, and a small last one with the Modelfile.
///
/// Source: OCI image-spec v1.1.
public struct ImageExporter: Exporter {
    public struct Options: Sendable {
        public var compression = LayerCompression.none
        /// Platforms that the image says it is for; with several it is an index over the same layers.
        public var platforms = [Platform(os: "linux", architecture: "amd64")]
        /// Layers below the model's own.
        public var base: BaseImage?
        /// Whether a ModelPack of the same layers is made with it, and an index over both.
        public var isUniversal = false
        /// RFC 3339, from `SOURCE_DATE_EPOCH`; nil leaves the time out.
        public var created: String?
        /// Whether tags that name other images are moved.
        public var replaces = false
        public var memory = LayerMemory.none
        /// For whom the layers are encrypted; nil leaves them as they are.
        public var encryption: LayerEncryption?

        public init() {}
    }

    public let name = "oci"
    let destination: any ImageDestination
    let options: Options

    public init(to destination: any ImageDestination, _ options: Options) {
        self.destination = destination
        self.options = options
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        ImageSession(bundle, to: destination, options)
    }
}

/// An image to build on.
public struct BaseImage: Sendable {
    /// Where it came from; a push into the same registry mounts its layers.
    public let origin: Reference?
    public let manifest: Manifest
    public let config: JSON
    /// Opens a layer for reading.
    public let blob: @Sendable (Descriptor) throws -> any ByteSource

    public init(
        origin: Reference?, manifest: Manifest, config: JSON,
        blob: @escaping @Sendable (Descriptor) throws -> any ByteSource
    ) {
        self.origin = origin
        self.manifest = manifest
        self.config = config
        self.blob = blob
    }
}
