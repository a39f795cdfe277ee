public import KapsuleCore

/// What of an image to unpack, and what may happen to files that are there.
public struct UnpackOptions: Sendable {
    /// The directory of the image that becomes the target; what is outside of it is left out. Empty for everything.
    public var prefix = "models"
    /// Files it matches are unpacked; empty for all. Paths are relative to the target.
    public var include = PathFilter()
    /// Files it matches are left out.
    public var exclude = PathFilter()
    /// Whether a file that is there with other content is replaced.
    public var force = false
    /// Most files held open at one time; nil for half of what the system allows, and 4096.
    public var openFiles: Int?

    public init() {}

    func selects(_ path: BundlePath) -> Bool {
        (include.isEmpty || include.excludes(path)) && !exclude.excludes(path)
    }

    var selectsAll: Bool { include.isEmpty && exclude.isEmpty }
}

/// What was done.
public struct UnpackReport: Sendable, Equatable {
    /// Files that are new or were replaced.
    public var written = 0
    /// Files that were there, with the same content.
    public var kept = 0
    /// Bytes of the files written.
    public var bytes: Int64 = 0
}

/// How the bytes of a layer are packed.
public enum LayerCompression: String, Sendable {
    /// Weights do not compress, and a layer's digest is then its diff ID.
    case none
    case gzip

    /// - Throws: `.usage` for a layer that is encrypted, compressed otherwise, or no tar.
    public init(mediaType: String) throws {
        switch mediaType {
        case _ where mediaType.hasSuffix("+encrypted"):
            throw KapsuleError(
                .undecryptable, id: "unpack.encrypted", "the layer is encrypted (\(mediaType))",
                remedy: "give a key with --decryption-key")
        case _ where mediaType.hasSuffix(".tar"): self = .none
        case _ where mediaType.hasSuffix("tar+gzip") || mediaType.hasSuffix("tar.gzip"): self = .gzip
        default:
            throw KapsuleError(
                .usage, id: "unpack.media-type", "cannot unpack a layer of the type '\(mediaType.prefix(100))'",
                remedy: "layers that are tar or tar+gzip can be unpacked; copy the image with skopeo to change them")
        }
    }
}
