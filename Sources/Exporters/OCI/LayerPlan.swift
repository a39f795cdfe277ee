internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto

/// The layer that one lane of a bundle becomes.
struct LayerPlan: Sendable {
    /// Indices into the bundle.
    let files: [Int]
    /// The tar archive: every offset is known before a byte is read.
    let tar: TarLayout
    /// Entries in front of the files'.
    let directoryCount: Int
    /// As the history names it.
    let createdBy: String
    /// As messages and results name it.
    let title: String
    private let directories: [String]

    /// - Parameter directories: entries to begin with, parents first, without a last `/`.
    init(lane: ModelBundle.Lane, of bundle: ModelBundle, directories: [String]) {
        files = lane.files
        self.directories = directories
        directoryCount = directories.count
        tar = TarLayout(
            directories.map { .directory($0) }
                + lane.files.map { index in
                    let file = bundle.files[index]
                    return .file(
                        "\(ImageFormat.root)/\(file.path)", size: file.source.size, isExecutable: file.isExecutable)
                })
        title = lane.files.count == 1 ? bundle.files[lane.files[0]].path.text : "\(lane.files.count) files"
        createdBy = "kapsule: copy \(title) to /\(ImageFormat.root)/"
    }

    /// What is known of the layer before its files are read: names and sizes, and digests that somebody vouches for.
    ///
    /// Not digests that this machine remembers: a run that was killed near its end may have left one, and what it began has
    /// to be found again.
    func outline(of bundle: ModelBundle) -> Digest {
        var text = "oci-outline-1\n"
        for directory in directories { text += "\(directory.utf8.count):\(directory)\n" }
        for file in files.map({ bundle.files[$0] }) {
            text += "\(file.path.text.utf8.count):\(file.path) \(file.isExecutable ? "x" : "-") \(file.source.size) "
            // Git's name first: the digest of such a file is known from the second run on.
            let promised = file.source.isWatched ? nil : file.source.digest
            text += "\(file.source.gitBlobName ?? promised?.description ?? "?")\n"
        }
        return Digest.of(text)
    }

    /// What decides the layer's bytes; nil while a file's digest is unknown.
    func key(_ files: [Artifact?], of bundle: ModelBundle, _ compression: LayerCompression) -> Digest? {
        var text = "oci-layer-1 \(compression.rawValue)\n"
        for directory in directories { text += "\(directory.utf8.count):\(directory)\n" }
        for index in self.files {
            guard let artifact = files[index] else { return nil }
            let file = bundle.files[index]
            text += "\(file.path.text.utf8.count):\(file.path) \(file.isExecutable ? "x" : "-") "
            text += "\(artifact.size) \(artifact.digest)\n"
        }
        return Digest.of(text)
    }
}

/// What kapsule's images have in common.
public enum ImageFormat {
    /// Where the model is inside an image: the folder that KServe and image volumes mount.
    public static let root = "models"
    /// The canonical Modelfile, so that a pull can restore template, system, parameters and licences.
    public static let modelfilePath = "Modelfile"

    /// Keys of layer annotations.
    public enum Annotation {
        /// Path of the only file of a layer, below `models/`.
        public static let path = "io.kapsule.file.path"
        /// SHA-256 of the only file of a layer: 64 hex digits.
        public static let sha256 = "io.kapsule.file.sha256"
        /// Size of the only file of a layer, in bytes.
        public static let size = "io.kapsule.file.size"
        /// The files of a layer with several: a JSON object, path to SHA-256. Left out when it would be long.
        public static let files = "io.kapsule.files"
    }

    /// Longest list of files that is worth its place in a manifest.
    static let mostListedFiles = 2000
}
