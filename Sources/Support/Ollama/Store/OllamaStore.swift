public import KapsuleCore
internal import KapsuleCrypto
public import KapsuleIO
public import ModelfileParser
public import OCI

/// The directory that Ollama keeps models in.
///
///     blobs/sha256-<64 hex digits>                  configs and layers
///     manifests/<host>/<namespace>/<model>/<tag>    JSON
///
/// Nothing here takes a lock, for Ollama knows none: files get their names when they are whole, and manifests come last.
///
/// Source: Ollama `manifest/paths.go`, `server/images.go`; observed.
public struct OllamaStore: Sendable {
    /// Of the directory that has `blobs` and `manifests`.
    public let path: String

    public init(_ path: String) { self.path = path }

    /// Where Ollama keeps models: `$OLLAMA_MODELS`, else `~/.ollama/models`.
    ///
    /// Source: Ollama `envconfig/config.go`: blanks and quotes around the value are taken off.
    public static func usual(_ environment: [String: String]) throws -> OllamaStore {
        if let path = configured(environment) { return OllamaStore(path) }
        return OllamaStore("\(try CurrentProcess.home())/.ollama/models")
    }

    /// Where models may be read from: the usual place, and that of the service that Ollama's installer sets up.
    public static func readable(_ environment: [String: String]) throws -> [OllamaStore] {
        let service = configured(environment) == nil ? [OllamaStore("/usr/share/ollama/.ollama/models")] : []
        return [try usual(environment)] + service
    }

    private static func configured(_ environment: [String: String]) -> String? {
        guard var text = environment["OLLAMA_MODELS"].map({ Substring($0) }) else { return nil }
        for unwanted: (Character) -> Bool in [\.isWhitespace, { $0 == "\"" || $0 == "'" }] {
            while let first = text.first, unwanted(first) { text.removeFirst() }
            while let last = text.last, unwanted(last) { text.removeLast() }
        }
        return text.isEmpty ? nil : String(text)
    }

    /// Whether there is such a directory at `path`.
    public static func isThere(_ path: String) throws -> Bool {
        try ["blobs", "manifests"].allSatisfy {
            try FileStatus.of("\(path)/\($0)", followsLinks: true)?.kind == .directory
        }
    }

    // MARK: Names

    private var manifestDirectory: String { "\(path)/manifests" }
    func manifestPath(_ name: OllamaName) -> String { ([manifestDirectory] + name.parts).joined(separator: "/") }

    /// The name in the spelling that it has here, part by part; as it is given where there is nothing like it.
    ///
    /// Source: Ollama `server/routes.go`, getExistingName.
    public func spelled(_ name: OllamaName) throws -> OllamaName {
        var directory = manifestDirectory
        var parts: [String] = []
        for part in name.parts {
            let isThere = try FileStatus.of("\(directory)/\(part)", followsLinks: true) != nil
            let like = isThere ? nil : try Self.names(in: directory).first { OllamaName.equal($0, part) }
            parts.append(like ?? part)
            directory += "/\(parts[parts.count - 1])"
        }
        return OllamaName(parts: parts) ?? name
    }

    /// Every model, ascending by where its manifest is; and files among the manifests that are none.
    public func models() throws -> (names: [OllamaName], strays: [String]) {
        var names: [OllamaName] = []
        var strays: [String] = []
        func look(_ parts: [String]) throws {
            for name in try Self.names(in: ([manifestDirectory] + parts).joined(separator: "/")) {
                let parts = parts + [name]
                let path = ([manifestDirectory] + parts).joined(separator: "/")
                let isDirectory = try FileStatus.of(path, followsLinks: true)?.kind == .directory
                if isDirectory, parts.count < 4 {
                    try look(parts)
                } else if !isDirectory, let name = OllamaName(parts: parts) {
                    names.append(name)
                } else {
                    strays.append(path)
                }
            }
        }
        try look([])
        return (names, strays)
    }

    static func names(in directory: String) throws -> [String] {
        guard try FileStatus.of(directory, followsLinks: true)?.kind == .directory else { return [] }
        return try Directories.names(in: directory)
    }

    // MARK: Manifests

    /// The manifest of a model, as it is stored; nil when there is none of that name.
    public func manifest(_ name: OllamaName) throws -> RawManifest? {
        let path = manifestPath(try spelled(name))
        guard try FileStatus.of(path, followsLinks: true)?.kind == .regular else { return nil }
        let bytes = try FileSource(path: path).readAll(limit: DocumentLimit.manifest, what: path)
        return RawManifest(bytes: bytes, mediaType: MediaType.dockerManifest, digest: Digest.of(bytes))
    }

    /// Makes a model visible, in one act. Its blobs are here already.
    ///
    /// - Throws: `.conflict` when the name is another model's and `replaces` is false.
    public func publish(_ manifest: [UInt8], as name: OllamaName, replaces: Bool) throws {
        let name = try spelled(name)
        if let present = try self.manifest(name) {
            if present.bytes == manifest { return }
            guard replaces else {
                throw KapsuleError(
                    .conflict, id: "ollama.name-exists",
                    "\(name.short) exists in \(path) and is another model (\(present.digest.short))",
                    remedy: "use another name, or --force to replace it")
            }
        }
        let path = manifestPath(name)
        try Directories.make(Paths.directory(of: path))
        try AtomicFile.write(manifest, to: path, existing: .replace)
    }

    // MARK: Blobs

    var blobDirectory: String { "\(path)/blobs" }

    /// Where a blob is, or would be.
    public func path(of digest: Digest) -> String { "\(blobDirectory)/sha256-\(digest.hex)" }

    /// Whether a blob of that name and size is here. Its content is not read.
    public func contains(_ blob: Artifact) throws -> Bool {
        guard let status = try FileStatus.of(path(of: blob.digest), followsLinks: true) else { return false }
        return status.kind == .regular && status.size == blob.size
    }

    /// - Throws: `.unverified` when the blob is missing, or has another size.
    public func blob(_ blob: Artifact) throws -> FileSource {
        let path = path(of: blob.digest)
        guard let status = try FileStatus.of(path, followsLinks: true) else {
            throw KapsuleError(
                .unverified, id: "ollama.blob-missing", "\(self.path) has no blob \(blob.digest)",
                remedy: "the model is incomplete: make it or pull it again")
        }
        guard status.size == blob.size else {
            throw KapsuleError(
                .unverified, id: "ollama.blob-size",
                "blob \(blob.digest) in \(self.path) has \(status.size) bytes, and should have \(blob.size)",
                remedy: "remove \(path), and make the model or pull it again")
        }
        return try FileSource(OpenFile.reading(path), digest: blob.digest, keepsItsName: false)
    }

    /// Where a blob waits that comes from afar, so that the next run of a killed one finds what it has of it. When Ollama
    /// starts it removes such files, as it removes its own.
    public func waiting(_ digest: Digest) -> String {
        "\(blobDirectory)/\(Self.waitingName(digest))"
    }

    /// Opens what waits of a blob, an empty file where there is nothing; nil while somebody else fetches it.
    public func openWaiting(_ digest: Digest) throws -> (file: OpenFile, lock: FileLock)? {
        try Directories.make(blobDirectory)
        while let lock = try FileLock.ifFree(waiting(digest), .exclusive) {
            // Whoever had it may have given the file its name, or removed it, in the meantime.
            if try lock.isStill(at: waiting(digest)) { return (try OpenFile.updating(waiting(digest)), lock) }
        }
        return nil
    }

    private static func waitingName(_ digest: Digest) -> String { "\(AtomicFile.temporaryPrefix)partial-\(digest.hex)" }

    /// Gives a blob that was waiting its name.
    public func publishWaiting(_ digest: Digest) throws {
        try RootDirectory(blobDirectory).move(
            Self.waitingName(digest), to: Paths.name(of: path(of: digest)), replaces: true)
    }

    /// A file that is to become a blob. It has no name, and goes when it is let go.
    public func newBlob() throws -> AtomicFile {
        try Directories.make(blobDirectory)
        return try AtomicFile(in: blobDirectory)
    }

    /// Gives a blob its name.
    ///
    /// - Parameter replaces: whether one of that name is not known to be whole, and gives way.
    public func publish(_ file: AtomicFile, as digest: Digest, replaces: Bool) throws {
        try file.commit(as: path(of: digest), existing: replaces ? .replace : .keep)
    }

    /// Stores a small blob.
    public func put(_ bytes: [UInt8]) throws -> Artifact {
        let blob = Artifact(digest: Digest.of(bytes), size: Int64(bytes.count))
        if let present = try? self.blob(blob), try Digest.of(present) == blob.digest {
            return blob
        }
        let file = try newBlob()
        try file.file.write(bytes.span, at: 0)
        try publish(file, as: blob.digest, replaces: true)
        return blob
    }
}
