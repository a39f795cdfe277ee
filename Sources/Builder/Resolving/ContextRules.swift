public import KapsuleCore
internal import KapsuleIO

/// Which files of a source belong to the model.
public struct ContextRules: Sendable {
    /// Never part of a model: what built it, what versions it, and what a downloader remembers.
    static let neverIncluded = PathFilter([
        ".git/", "/.gitattributes", "/.gitignore", "/Modelfile", "/ModelFile", "/modelfile", "/.kapsuleignore",
        "/.dockerignore", "/.cache/huggingface/", ".kapsule-*",
    ])

    /// From EXCLUDE and `--exclude`, in order.
    public var exclude: PathFilter
    /// From `--include`; empty means everything.
    public var include: PathFilter

    public init(exclude: PathFilter = PathFilter(), include: PathFilter = PathFilter()) {
        self.exclude = exclude
        self.include = include
    }

    /// Whether anything below the directory may be wanted.
    func admitsDirectory(_ path: BundlePath) -> Bool {
        !Self.neverIncluded.excludesAll(in: path) && !exclude.excludesAll(in: path)
    }

    /// Whether the file is wanted.
    public func admits(_ path: BundlePath) -> Bool {
        if Self.neverIncluded.excludes(path) || exclude.excludes(path) { return false }
        return include.isEmpty || include.excludes(path)
    }

    /// The patterns of `.kapsuleignore`, else `.dockerignore`, in `directory`.
    static func ignoreFile(in directory: String) throws -> PathFilter {
        for name in [".kapsuleignore", ".dockerignore"] {
            let path = "\(directory)/\(name)"
            guard try FileStatus.of(path, followsLinks: true)?.kind == .regular else { continue }
            let source = try FileSource(path: path)
            let bytes = try source.readAll(limit: 1 << 20, what: path)
            return PathFilter(ignoreFile: String(decoding: bytes, as: UTF8.self))
        }
        return PathFilter()
    }
}
