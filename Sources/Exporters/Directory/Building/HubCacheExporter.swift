internal import Formats
public import KapsuleCore
internal import KapsuleIO

/// Makes a model of a cache that `huggingface_hub` finds offline.
///
/// ```
/// CACHE/models--ORG--NAME/
///   blobs/<64 hex>            a file, named by its SHA-256
///   blobs/<40 hex>            a small file of the hub, named by the name git gives to its content
///   refs/<revision>           the commit
///   snapshots/<commit>/PATH   a link to ../../blobs/…
/// ```
///
/// The hub's own list of all files of the commit (`trees/`) is not written: a build may leave files out.
///
/// Source: huggingface_hub 2.4, docs/guides/manage-cache and `file_download.py`.
public struct HubCacheExporter: Exporter {
    public let name = "hf-cache"
    private let cache: String
    private let ref: String?
    private let replaces: Bool
    private let progress: any ProgressReporter

    /// - Parameters:
    ///   - cache: what `HF_HUB_CACHE` names; made where there is none.
    ///   - ref: a branch or a tag that leads to the commit from now on; nil for none.
    ///   - replaces: whether a file that is there with other content gives way.
    public init(to cache: String, ref: String?, replaces: Bool, progress: any ProgressReporter) {
        self.cache = cache
        self.ref = ref
        self.replaces = replaces
        self.progress = progress
    }

    /// - Throws: `.usage` for a model that is no commit of a repository of the hub.
    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        let identity = try HubIdentity(bundle.identity)
        let places = try bundle.files.map { file in
            let name = file.source.gitBlobName ?? file.source.digest?.hex
            guard let name else {
                throw KapsuleError(
                    .defect, id: "hub-cache.unhashed", "the name of \(file.path) in the cache is not known")
            }
            return PlacedFile(path: try BundlePath(validating: "blobs/\(name)"), mode: 0o644)
        }
        let links = zip(bundle.files, places).map { (path: $0.path, blob: $1.path.text) }
        let snapshot = Snapshot(
            directory: "\(cache)/\(identity.folder)", commit: identity.commit, ref: ref, replaces: replaces,
            links: links)
        return try DirectorySession(bundle, places, in: snapshot.directory, replaces: replaces, progress, snapshot)
    }
}

/// A repository of the hub and a commit of it.
struct HubIdentity {
    let repository: String
    /// 40 hex digits.
    let commit: String

    /// `models--ORG--NAME`.
    var folder: String { "models--" + repository.split(separator: "/").joined(separator: "--") }

    /// - Throws: `.usage` unless `text` is `NAME@COMMIT`, with a name that the hub could have given.
    init(_ text: String) throws {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts[1].utf8.count == 40, parts[1].utf8.allSatisfy(Self.isHexDigit) else {
            throw Self.refusal(text, "its revision is not a commit of 40 hex digits")
        }
        let names = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        guard names.count <= 2, names.allSatisfy(Self.isName), !parts[0].hasSuffix(".git") else {
            throw Self.refusal(text, "its name is not one that the hub gives to a repository")
        }
        repository = parts[0]
        commit = parts[1].lowercased()
    }

    private static func refusal(_ text: String, _ why: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "hub-cache.identity", "the model '\(text)' has no place in a cache of the hub: \(why)",
            remedy: "build FROM hf://ORG/NAME, or say which one it is: --model-id ORG/NAME@COMMIT")
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    /// Source: huggingface_hub `utils/_validators.py`, `REPO_ID_REGEX`.
    private static func isName(_ part: Substring) -> Bool {
        let isClosed = [".", "-"].contains { part.hasPrefix($0) || part.hasSuffix($0) }
        return (1...96).contains(part.utf8.count) && !isClosed && !part.contains("--") && !part.contains("..")
            && part.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "._-".utf8.contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            }
    }
}

/// The names that lead to the blobs: a link a file, and the ref, which comes last.
private struct Snapshot: DirectoryClosing {
    let directory: String
    let commit: String
    let ref: String?
    let replaces: Bool
    let links: [(path: BundlePath, blob: String)]

    var name: String { "hf-cache → \(directory)" }
    private var folder: String { "snapshots/\(commit)" }

    func prepare(_ files: DirectoryFiles) throws {
        if let ref { _ = try BundlePath(validating: "refs/\(ref)") }
        for link in links { _ = try isThere(link, in: files) }
    }

    func close(_ files: DirectoryFiles, _ artifacts: [(path: String, artifact: Artifact)]) throws -> ExportReceipt {
        let root = try files.root()
        for link in links where try !isThere(link, in: files) {
            let path = "\(folder)/\(link.path)"
            try root.makeDirectory(String(path[..<path.lastIndex(of: "/")!]))
            try root.makeLink(path, to: target(of: link), replaces: replaces)
        }
        // A branch moves: what it led to before is no conflict.
        if let ref { try files.put("refs/\(ref)", Array(commit.utf8), replaces: true) }
        let identity = DirectoryIdentity.of(artifacts)
        let path = "\(directory)/\(folder)"
        return ExportReceipt(
            identity: identity, reference: "\(path)@\(identity)", outputs: artifacts.map { ($0.path, $0.artifact) },
            directoryPath: path)
    }

    /// Up from the file's directory to the model's, and down to the blob.
    private func target(of link: (path: BundlePath, blob: String)) -> String {
        String(repeating: "../", count: 2 + link.path.ancestors.count) + link.blob
    }

    /// Whether the link is as it should be.
    ///
    /// - Throws: `.conflict` when something else has its name and may not be replaced.
    private func isThere(_ link: (path: BundlePath, blob: String), in files: DirectoryFiles) throws -> Bool {
        let path = try BundlePath(validating: "\(folder)/\(link.path)")
        guard let target = try files.linkTarget(path) else {
            try files.checkReplaceable(path)
            return false
        }
        if target == self.target(of: link) { return true }
        try files.checkReplaceable(path)
        return false
    }
}
