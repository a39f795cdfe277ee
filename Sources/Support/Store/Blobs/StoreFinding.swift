public import KapsuleCore

/// Something that is not as it should be.
public enum StoreFinding: Sendable, Hashable {
    /// The blob's content has another digest.
    case damaged(Digest, actual: Digest)
    /// The image of that name needs a blob that is not here, or has another size.
    case missing(Artifact, image: String)
    /// The image of that name has a document that cannot be read.
    case unreadable(image: String, reason: String)
    /// A file that is no blob: left by a killed process, or by somebody else.
    case stray(path: String)

    /// Whether an image cannot be used because of it.
    public var isFatal: Bool {
        switch self {
        case .damaged, .missing, .unreadable: true
        case .stray: false
        }
    }

    /// The finding as an error, for whoever has to end with one.
    public var error: KapsuleError? {
        switch self {
        case .damaged(let digest, let actual):
            KapsuleError(
                .unverified, id: "store.damaged", "blob \(digest) is damaged: its content has the digest \(actual)",
                remedy: "remove the images that need it, prune, and pull or build them again")
        case .missing(let blob, let image):
            KapsuleError(
                .unverified, id: "store.incomplete", "\(image) is incomplete: blob \(blob.digest) is missing",
                remedy: "pull or build the image again")
        case .unreadable(let image, let reason):
            KapsuleError(
                .unverified, id: "store.unreadable", "\(image) cannot be read: \(reason)",
                remedy: "remove the image, and pull or build it again")
        case .stray: nil
        }
    }
}
