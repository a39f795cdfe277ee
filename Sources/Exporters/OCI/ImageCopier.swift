public import KapsuleCore
internal import KapsuleIO
public import OCI

/// Copies an image as it is: every blob once, several at a time, and what names it last.
public struct ImageCopier: Sendable {
    /// Blobs at one time.
    public let concurrency: Int
    /// Whether gzipped layers are stored unpacked. Their digests, and that of the image, are others then.
    public let unzips: Bool
    public let progress: any ProgressReporter

    public init(concurrency: Int, unzips: Bool = false, progress: any ProgressReporter) {
        self.concurrency = concurrency
        self.unzips = unzips
        self.progress = progress
    }

    /// - Returns: the digest of what the tags name now.
    /// - Throws: `.conflict` when a tag names another image and `replaces` is false; blobs may be there by then, but
    ///   no name has changed.
    @discardableResult
    public func copy(
        _ image: Image, to destination: any ImageDestination, replaces: Bool
    ) async throws -> Digest {
        let zipped = unzips ? image.blobs.filter { LayerUnzip.isZipped($0) } : []
        let plain = image.blobs.filter { blob in !zipped.contains { $0.digest == blob.digest } }
        try checkSpace(plain, image, destination)
        try await forEach(plain, limit: concurrency) { blob in try copy(blob, of: image, to: destination) }
        let published: PublishedImage
        if zipped.isEmpty {
            published = asItIs(image)
        } else {
            let unzip = LayerUnzip(image: image, destination: destination, progress: progress)
            try await forEach(zipped, limit: concurrency) { try unzip.unzip($0) }
            published = try unzip.published()
        }
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
        try FreeSpace.require(missing.reduce(0) { $0 + $1.size }, in: directory, for: image.origin.name)
    }
}
