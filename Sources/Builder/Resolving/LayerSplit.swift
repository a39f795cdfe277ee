internal import Formats
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// Cuts what is too large for one layer into several: registries and the proxies before them have limits.
///
/// A file becomes files of its parts, each in a lane of its own, so that they move side by side and are resumed one by
/// one. Decided by sizes, paths and the limit alone: equal models give equal layers.
public struct LayerSplit: Sendable {
    /// Smallest limit, in bytes.
    public static let smallestLimit: Int64 = 1 << 20

    private let limit: Int64
    private let reservedLayers: Int
    private let isGzipped: Bool
    private let recall: @Sendable (Digest) -> Artifact?
    private let progress: any ProgressReporter

    /// - Parameters:
    ///   - limit: most bytes of a stored layer.
    ///   - reservedLayers: layers that are not lanes: those of a base image, and the one of the Modelfile.
    ///   - recall: the part that a key stands for, where it was made before; see `ModelBundle.Part.key`.
    public init(
        limit: Int64, reservedLayers: Int, isGzipped: Bool, recall: @escaping @Sendable (Digest) -> Artifact?,
        progress: any ProgressReporter
    ) {
        self.limit = limit
        self.reservedLayers = reservedLayers
        self.isGzipped = isGzipped
        self.recall = recall
        self.progress = progress
    }

    /// The model in files that fit, and the paths of those that were cut. A file of which nobody knows the digest is read
    /// once before it is cut.
    ///
    /// - Throws: `.usage` when there would be too many layers.
    public func split(_ bundle: ModelBundle) throws -> (bundle: ModelBundle, cut: [BundlePath]) {
        let most = try content(of: bundle)
        guard bundle.files.contains(where: { $0.source.size > most }) || needsMoreLanes(bundle, most) else {
            return (bundle, [])
        }
        var cut: [BundlePath] = []
        var lanes: [[ModelBundle.File]] = []
        for lane in bundle.lanes {
            var group: [ModelBundle.File] = []
            var size: Int64 = 0
            for file in lane.files.map({ bundle.files[$0] }) {
                if file.source.size > most {
                    cut.append(file.path)
                    lanes += try parts(of: file, most).map { [$0] }
                    continue
                }
                let taken = Self.room(of: file)
                if !group.isEmpty, size + taken > most {
                    lanes.append(group)
                    (group, size) = ([], 0)
                }
                group.append(file)
                size += taken
            }
            if !group.isEmpty { lanes.append(group) }
        }
        try check(lanes.count)
        return (try rebuilt(bundle, lanes), cut)
    }

    private func needsMoreLanes(_ bundle: ModelBundle, _ most: Int64) -> Bool {
        bundle.lanes.contains {
            $0.files.count > 1 && $0.files.reduce(0) { $0 + Self.room(of: bundle.files[$1]) } > most
        }
    }

    /// Bytes that a file takes in an archive, its header included.
    private static func room(of file: ModelBundle.File) -> Int64 {
        header(of: file.path.text, size: file.source.size) + (file.source.size + 511) / 512 * 512
    }

    private static func header(of path: String, size: Int64) -> Int64 {
        TarLayout([.file("models/\(path)", size: size)]).slots[0].contentOffset
    }

    /// Most bytes of content that a layer of the limit has room for, whatever is in front of it.
    private func content(of bundle: ModelBundle) throws -> Int64 {
        // Tar rounds up to 10,240 bytes, two blocks of zeros included.
        let tar = (isGzipped ? limit - limit / 1000 - 1024 : limit) / 10_240 * 10_240 - 1024
        // In the first layer are the directories, too.
        let directories = Set(bundle.files.flatMap(\.path.ancestors)).reduce(Int64(512)) { sum, path in
            sum + TarLayout([.directory("models/\(path)")]).slots[0].contentOffset
        }
        let header =
            bundle.files.map { Self.header(of: "\($0.path).part-0000-of-0000", size: $0.source.size) }.max() ?? 512
        let most = (tar - directories - header) / 512 * 512
        guard most > 0 else {
            throw KapsuleError(
                .usage, id: "layer.limit",
                "--max-layer-size \(ByteCount.text(limit)) leaves no room beside the names of this model's files",
                remedy: "use a larger limit")
        }
        return most
    }

    private func parts(of file: ModelBundle.File, _ most: Int64) throws -> [ModelBundle.File] {
        let size = file.source.size
        let count = Int((size + most - 1) / most)
        let whole = Artifact(digest: try file.digest(progress), size: size)
        return try (0..<count).map { index in
            let range = Int64(index) * most..<min(size, Int64(index + 1) * most)
            let part = ModelBundle.Part(of: file.path, whole, number: index + 1, of: count)
            let known = recall(Digest.of(part.key(size: range.upperBound - range.lowerBound)))
            do {
                return ModelBundle.File(
                    path: try ModelBundle.Part.path(of: file.path, number: index + 1, of: count), role: file.role,
                    isExecutable: file.isExecutable, permissions: file.permissions,
                    source: SliceSource(file.source, range, digest: known?.digest), part: part)
            } catch let problem as PathProblem {
                throw KapsuleError(
                    .usage, id: "layer.part-path", "a part of '\(file.path)' would have a path that \(problem.reason)",
                    remedy: "give the file a shorter name")
            }
        }
    }

    private func check(_ count: Int) throws {
        let room = LanePolicy.maximumLayers - reservedLayers
        guard count > room else { return }
        throw KapsuleError(
            .usage, id: "layer.too-many",
            "with --max-layer-size \(ByteCount.text(limit)) the image would have \(count + reservedLayers) layers, and "
                + "\(LanePolicy.maximumLayers) is the most",
            remedy: "use a larger limit")
    }

    private func rebuilt(_ bundle: ModelBundle, _ lanes: [[ModelBundle.File]]) throws -> ModelBundle {
        let files = lanes.flatMap(\.self).sorted { $0.path < $1.path }
        var places: [BundlePath: Int] = [:]
        for (index, file) in files.enumerated() where places.updateValue(index, forKey: file.path) != nil {
            throw KapsuleError(
                .usage, id: "layer.part-path", "'\(file.path)' is a file of the model, and would be a part of another",
                remedy: "rename it, or leave it out with EXCLUDE")
        }
        return bundle.with(
            files: files, lanes: lanes.map { ModelBundle.Lane(files: $0.compactMap { places[$0.path] }.sorted()) })
    }
}
