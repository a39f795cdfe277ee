internal import Exporters
internal import KapsuleCore

extension ImageFile {
    /// Writes the model in the image to a directory, every block checked as it is read where there is a root hash.
    ///
    /// - Returns: the line that says so.
    func export(_ options: ExportOptions) async throws -> String {
        guard options.format == .files, let target = options.output else {
            throw KapsuleError(
                .usage, id: "export.format", "\(file.path) is a file system, and can only be written as files",
                remedy: "add --format hf")
        }
        var unpack = UnpackOptions()
        unpack.include = PathFilter(options.include)
        unpack.exclude = PathFilter(options.exclude)
        unpack.force = options.force
        let (image, root) = try readable()
        let report = try await ImageExtractor(image, unpack, progress: toolbox.progress).extract(into: target)
        toolbox.note("\(report.written) written, \(report.kept) kept, \(ByteCount.text(report.bytes))")
        return root.map { "\(target)@\($0.hex)" } ?? target
    }

    /// The image, and the root hash that its blocks are checked against.
    private func readable() throws -> (ReadableImage, Digest?) {
        if flags.rootHash == nil, file.sideFile == nil {
            let image = try ReadableImage(unproven: file)
            toolbox.note("note: nothing is checked: no --root-hash was given, and none lies beside \(file.name)")
            return (image, nil)
        }
        let image = try sealed()
        return (try ReadableImage(image), image.root)
    }
}
