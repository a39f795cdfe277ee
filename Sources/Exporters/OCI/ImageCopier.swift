public import Encryption
public import KapsuleCore
internal import KapsuleIO
public import OCI

/// Copies an image: every blob once, several at a time, and what names it last. Layers go as they are, or are decrypted,
/// unpacked or encrypted on the way.
public struct ImageCopier: Sendable {
    /// Blobs at one time.
    public let concurrency: Int
    /// Whether gzipped layers are stored unpacked. Their digests, and that of the image, are others then.
    public let unzips: Bool
    /// Decrypts every encrypted layer; nil leaves them as they are.
    public let keyring: Keyring?
    /// For whom every layer is encrypted that is not; nil for nobody.
    public let recipients: RecipientSet?
    public let progress: any ProgressReporter

    public init(
        concurrency: Int, unzips: Bool = false, keyring: Keyring? = nil, recipients: RecipientSet? = nil,
        progress: any ProgressReporter
    ) {
        self.concurrency = concurrency
        self.unzips = unzips
        self.keyring = keyring
        self.recipients = recipients
        self.progress = progress
    }

    /// - Returns: the digest of what the tags name now.
    /// - Throws: `.conflict` when a tag names another image and `replaces` is false; blobs may be there by then, but
    ///   no name has changed. `.undecryptable` before the first byte when no key opens some layer.
    @discardableResult
    public func copy(
        _ image: Image, to destination: any ImageDestination, replaces: Bool
    ) async throws -> Digest {
        let rewrite = try ImageRewrite(
            image, to: destination, unzips: unzips, keyring: keyring, recipients: recipients, progress: progress)
        let changing = Set(rewrite.layers.map(\.digest))
        let blobs = image.orderedBlobs
        destination.foresee(blobs.map(rewrite.foreseen))
        try checkSpace(blobs, image, destination)
        try await forEach(Array(blobs.enumerated()), limit: concurrency) { place, blob in
            if changing.contains(blob.digest) {
                try rewrite.run(blob, place: place)
            } else {
                try copy(blob, of: image, to: destination)
            }
        }
        let published = rewrite.isNeeded ? try rewrite.published() : asItIs(image)
        try destination.publish(published, replaces: replaces)
        return published.root.digest
    }

    private func asItIs(_ image: Image) -> PublishedImage {
        let isIndex = MediaType.isIndex(image.root.mediaType)
        return PublishedImage(
            root: image.root.descriptor, bytes: image.root.bytes,
            children: isIndex ? image.children.map { ($0.descriptor, $0.manifest.bytes) } : [])
    }

    private func copy(_ blob: Descriptor, of image: Image, to destination: any ImageDestination) throws {
        let title = blob.annotations[ImageFormat.Annotation.path] ?? "blob \(blob.digest.short)"
        let activity = Activity(title, total: blob.size)
        progress.began(activity)
        do {
            if try destination.hasBlob(blob.artifact) {
                progress.ended(activity, .skipped)
                return
            }
            try destination.putBlob(
                blob, from: try image.origin.blob(blob), mountFrom: image.origin.reference, activity)
            progress.ended(activity, .succeeded)
        } catch let error as KapsuleError {
            progress.ended(activity, .failed(error))
            throw error
        }
    }

    /// Whether what is missing fits, before the first byte is written.
    private func checkSpace(
        _ blobs: [Descriptor], _ image: Image, _ destination: any ImageDestination
    ) throws {
        guard let directory = destination.directory else { return }
        let missing = blobs.filter { destination.hasBlobNearby($0.artifact) != true }
        try FreeSpace.require(
            missing.reduce(0) { $0 + max(0, $1.size - destination.allocated(for: $1.artifact)) }, in: directory,
            for: image.origin.name)
    }
}
