internal import Formats
public import KapsuleCore
internal import KapsuleIO

/// Writes the files of a file system image below a directory, without mounting it.
///
/// A file has its name only when it is complete. One that is there already is kept when it is equal, and otherwise a
/// `.conflict` unless `force` is set. Modes become 0644 and 0755, whatever the umask.
public struct ImageExtractor: Sendable {
    private static let filesAtOneTime = 4

    private let image: ReadableImage
    private let options: UnpackOptions
    private let progress: any ProgressReporter

    /// - Parameter options: of these the prefix counts for nothing.
    public init(_ image: ReadableImage, _ options: UnpackOptions, progress: any ProgressReporter) {
        self.image = image
        self.options = options
        self.progress = progress
    }

    /// - Throws: `.unverified` for an image that is damaged, or that holds what cannot be unpacked, `.conflict` for a file
    ///   that is there with other content, `.noSpace`, `.usage` when nothing is selected.
    public func extract(into target: String) async throws -> UnpackReport {
        let tree = try image.naming { try ExtractionPlan(image, options) }
        guard !tree.isEmpty else {
            throw KapsuleError(
                .usage, id: "export.nothing", "\(image.path) has no files that are wanted",
                remedy: "check --include and --exclude; 'kapsule inspect' lists the files")
        }
        try Directories.make(target)
        let root = try RootDirectory(target)
        let placer = FilePlacer(root: root, force: options.force)
        try checkSpace(for: tree, in: root)
        for path in tree.directories { try root.makeDirectory(path.text) }
        let activity = Activity("export \(Paths.name(of: image.path))", total: tree.size)
        progress.began(activity)
        do {
            var report = try await write(tree.files, with: placer, activity)
            for link in tree.symbolicLinks { try placer.makeLink(link.path, to: link.target, &report) }
            for link in tree.hardLinks { try placer.makeHardLink(link.path, to: link.existing, &report) }
            progress.ended(activity, .succeeded)
            return report
        } catch {
            progress.ended(
                activity, .failed(error as? KapsuleError ?? KapsuleError(.defect, id: "unexpected", "\(error)")))
            throw error
        }
    }

    private func write(
        _ files: [ExtractionPlan.File], with placer: FilePlacer, _ activity: Activity
    ) async throws -> UnpackReport {
        let image = image
        let total = SharedReport()
        try await forEach(files, limit: Self.filesAtOneTime) { file in
            let outcome = try image.naming {
                try doing("writing \(file.path)") {
                    try placer.place(
                        image.system.content(of: file.entry, in: image.data), at: file.path, mode: file.mode,
                        isStillValid: image.checkUnchanged, advance: activity.advance)
                }
            }
            total.add(outcome)
        }
        return total.value
    }

    private func checkSpace(for tree: ExtractionPlan, in root: RootDirectory) throws {
        var needed: Int64 = 0
        for file in tree.files {
            let existing = try root.status(file.path.text)
            if existing?.kind != .regular || existing?.size != file.entry.size { needed += file.entry.size }
        }
        let free = try Directories.freeBytes(at: root.path)
        guard needed <= free else {
            throw KapsuleError(
                .noSpace, id: "unpack.no-space",
                "the image needs \(ByteCount.text(needed)) and \(root.path) has \(ByteCount.text(free)) free",
                remedy: "free \(ByteCount.text(needed - free)) there, or write elsewhere with --output")
        }
    }
}
