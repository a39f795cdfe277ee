internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO

/// One model in the cache of `huggingface_hub`. Nothing is written there.
///
/// ```
/// models--ORG--NAME/
///   blobs/<64 hex>            named by the SHA-256 of a large file's content
///   blobs/<40 hex>            named by the git name of a small file's content
///   refs/<revision>           the commit
///   snapshots/<commit>/PATH   a link to ../../blobs/…
///   trees/<commit>.json       the whole list of files
/// ```
///
/// Source: huggingface_hub 2.4, `file_download.py` and docs/guides/manage-cache.
struct HubCache: Sendable {
    /// `…/models--ORG--NAME`.
    let directory: String
    let repository: String

    /// - Parameter directory: of the cache; it need not exist.
    init(directory: String, repository: String) {
        self.directory = "\(directory)/models--" + repository.split(separator: "/").joined(separator: "--")
        self.repository = repository
    }

    /// The bytes of a file, whose name in the cache is what proves them; nil where they are not there in full length.
    func blob(of entry: HubEntry) -> CachedBlob? {
        let name =
            switch entry.proof {
            case .content(let digest): digest.hex
            case .gitName(let name): name
            }
        let path = "\(directory)/blobs/\(name)"
        guard let status = try? FileStatus.of(path, followsLinks: true), status.kind == .regular,
            status.size == entry.size
        else { return nil }
        return CachedBlob(path: path)
    }

    /// The files of a commit, as far as the cache knows them.
    struct Snapshot {
        let commit: String
        let entries: [HubEntry]
        /// Whether the hub's own list says so; otherwise these are the files that are there.
        let isListed: Bool
    }

    /// - Parameter revision: nil for `main`, as the hub's own client has it.
    func snapshot(_ revision: String?) throws -> Snapshot {
        let commit = try commit(revision ?? "main")
        if let listed = try listed(commit) { return Snapshot(commit: commit, entries: listed, isListed: true) }
        let entries = try HubEntry.ordered(linked(commit), of: repository)
        // Weights are in large storage. A config or a tokenizer alone was fetched by somebody who wanted no more.
        guard entries.contains(where: { if case .content = $0.proof { true } else { false } }) else {
            throw KapsuleError(
                .unavailable, id: "hub.offline-partial",
                "HF_HUB_OFFLINE is set, and the cache \(directory) has no weights of \(repository) at commit "
                    + "\(commit.prefix(12)): what is there is a part",
                remedy: "fetch it with 'hf download \(repository)', or name the directory: "
                    + "FROM \(directory)/snapshots/\(commit)")
        }
        return Snapshot(commit: commit, entries: entries, isListed: false)
    }

    /// The files that the snapshot's links lead to: each proves its content by its name.
    private func linked(_ commit: String, below folder: String = "") throws -> [HubEntry] {
        let path = "\(directory)/snapshots/\(commit)/\(folder)"
        guard folder.utf8.count < 4096, let names = try? Directories.names(in: path) else { return [] }
        return try names.flatMap { name in
            let status = try FileStatus.of(path + name, followsLinks: false)
            if status?.kind == .directory { return try linked(commit, below: "\(folder)\(name)/") }
            return [try linked(path + name, status, as: folder + name)]
        }
    }

    private func linked(_ path: String, _ status: FileStatus?, as name: String) throws -> HubEntry {
        let target = status?.kind == .symbolicLink ? try Directories.linkTarget(path) : ""
        let blob = target.split(separator: "/").last.map(String.init) ?? ""
        let isProof = GitName.isValid(blob) || Digest(hex: blob) != nil
        guard isProof, let size = try FileStatus.of("\(directory)/blobs/\(blob)", followsLinks: true)?.size else {
            throw KapsuleError(
                .unavailable, id: "hub.offline-unproven",
                "HF_HUB_OFFLINE is set, and nothing in the cache proves \(Quoted.text(path, limit: 300)): it is no link "
                    + "to a blob that is named by its content",
                remedy: "fetch it with 'hf download \(repository)', or take it as it is: FROM "
                    + path.dropLast(name.count + 1))
        }
        return HubEntry(
            path: try HubEntry.path(name, in: repository), size: size,
            proof: Digest(hex: blob).map { .content($0) } ?? .gitName(blob))
    }

    private func commit(_ revision: String) throws -> String {
        if GitName.isValid(revision) { return revision }
        let path = "\(directory)/refs/\(revision)"
        // A revision cannot climb: the parser lets no '..' into one.
        if let source = try? FileSource(path: path), let bytes = try? source.readAll(limit: 100, what: path) {
            let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
            if GitName.isValid(text) { return text }
        }
        throw KapsuleError(
            .unavailable, id: "hub.offline",
            "HF_HUB_OFFLINE is set, and the cache \(directory) does not have \(repository)@\(revision)",
            remedy: "fetch it with 'hf download \(repository)', name a commit that is there, or unset HF_HUB_OFFLINE")
    }

    private struct Tree: Decodable {
        struct File: Decodable {
            let size: Int64?
            let blob_id: String?
            let lfs_sha256: String?
            let lfs_size: Int64?
        }
        let format_version: Int?
        let files: [String: File]
    }

    /// The list that the hub's client keeps; nil where it is missing or of another format.
    private func listed(_ commit: String) throws -> [HubEntry]? {
        let path = "\(directory)/trees/\(commit).json"
        guard let source = try? FileSource(path: path),
            let bytes = try? source.readAll(limit: 64 << 20, what: path),
            let tree = try? JSONDecoder().decode(Tree.self, from: Data(bytes)), (tree.format_version ?? 1) == 1
        else { return nil }
        let rows = tree.files.map { path, file in
            HubDocument.Row(
                type: "file", path: path, size: file.lfs_size ?? file.size, oid: file.blob_id,
                lfs: file.lfs_sha256.map { HubDocument.Row.LFS(oid: $0, size: file.lfs_size ?? file.size ?? -1) })
        }
        return try HubEntry.ordered(rows.compactMap { try HubEntry($0, in: repository) }, of: repository)
    }

    func incomplete(_ commit: String, _ missing: [HubEntry]) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "hub.offline-partial",
            "HF_HUB_OFFLINE is set, and the cache \(directory) lacks "
                + (missing.first.map { "\($0.path)" } ?? "files")
                + (missing.count > 1 ? " and \(missing.count - 1) more files" : "") + " of commit \(commit.prefix(12))",
            remedy:
                "fetch the rest with 'hf download \(repository)', leave it out with EXCLUDE, or unset HF_HUB_OFFLINE")
    }
}

/// A file of the cache. Its bytes are whatever they are: its name says what they should be.
struct CachedBlob: Sendable {
    let path: String

    func source() throws -> FileSource { try FileSource(OpenFile.reading(path), keepsItsName: false) }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try source().read(range, into: &sink)
    }
}
