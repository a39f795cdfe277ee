internal import Exporters
internal import KapsuleCore
internal import OCI

/// A layout or an archive as a whole, with every image in it.
struct ImagePlace {
    let name: String
    let images: ListedImages
    /// Opens an image of it by its line in the index.
    let open: (Descriptor) throws -> any ImageOrigin

    /// Reads every blob of every image, each once.
    ///
    /// - Returns: the line that says that they are whole.
    func check(concurrency: Int, progress: any ProgressReporter) async throws -> String {
        var checked: Set<Digest> = []
        var roots: Set<Digest> = []
        for entry in images.entries where roots.insert(entry.descriptor.digest).inserted {
            let image = try Image(try open(entry.descriptor))
            try await BlobCheck(concurrency: concurrency, progress: progress).check(image, except: checked)
            checked.formUnion(image.blobs.map(\.digest))
        }
        guard let root = roots.first, roots.count == 1 else {
            return "\(name): \(roots.count) images are whole, \(checked.count) blobs"
        }
        return "\(name): \(root) is whole, \(checked.count) blobs"
    }
}

extension ImageLocator {
    /// The layout or the archive that a word names; nil for one image of it, and for anything else.
    func place(_ text: String) throws -> ImagePlace? {
        if try text.hasPrefix("oci-archive:") || ImageArchive.isTar(text) {
            let path = text.hasPrefix("oci-archive:") ? String(text.dropFirst(12)) : text
            guard case (let path, nil) = try Self.split(path) else { return nil }
            let archive = try ImageArchive(opening: path)
            return ImagePlace(name: "oci-archive:\(path)", images: try archive.images()) {
                try archive.origin(named: $0.digest.description)
            }
        }
        guard !text.hasPrefix("oci://"), try Self.isPlace(text) else { return nil }
        guard case (let path, nil) = try Self.split(text.hasPrefix("oci:") ? String(text.dropFirst(4)) : text) else {
            return nil
        }
        let (layout, name) = (try ImageLayout.open(path), "oci:\(path)")
        let images = ListedImages(entries: try layout.entries(), place: path) { try layout.index($0).content }
        return ImagePlace(name: name, images: images) { LayoutOrigin(name: name, layout: layout, $0) }
    }
}
