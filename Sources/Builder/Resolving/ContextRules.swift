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

    /// From the ignore file, and where the files are below the directory its patterns start at.
    private var ignored = PathFilter()
    private var prefix = ""

    public init(exclude: PathFilter = PathFilter(), include: PathFilter = PathFilter()) {
        self.exclude = exclude
        self.include = include
    }

    /// The same rules with the EXCLUDE patterns of a Modelfile in front, so that flags have the last word.
    func adding(_ patterns: PathFilter) -> ContextRules {
        var rules = self
        rules.exclude = PathFilter(patterns.patterns + exclude.patterns)
        return rules
    }

    /// - Parameter prefix: the directory of the files, relative to that of the ignore file; empty where it is the same.
    mutating func ignore(_ patterns: PathFilter, below prefix: String) {
        ignored = patterns
        self.prefix = prefix.isEmpty ? "" : "\(prefix)/"
    }

    /// Whether anything below the directory may be wanted.
    func admitsDirectory(_ path: BundlePath) -> Bool {
        !Self.neverIncluded.excludesAll(in: path) && !exclude.excludesAll(in: path)
            && !(inIgnoreFile(path).map(ignored.excludesAll(in:)) ?? false)
    }

    /// Whether the file is wanted.
    public func admits(_ path: BundlePath) -> Bool {
        if Self.neverIncluded.excludes(path) || exclude.excludes(path) { return false }
        if let path = inIgnoreFile(path), ignored.excludes(path) { return false }
        return include.isEmpty || include.excludes(path)
    }

    private func inIgnoreFile(_ path: BundlePath) -> BundlePath? { try? BundlePath(validating: prefix + path.text) }

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
