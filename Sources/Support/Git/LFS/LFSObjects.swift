internal import HTTP
internal import KapsuleCore
internal import KapsuleIO

/// Finds the content that pointers of a commit name.
struct LFSObjects {
    private let tree: GitTree
    private let settings: LFSSettings
    private var url: String { tree.copy.repository.url }

    init(_ tree: GitTree, _ settings: LFSSettings) {
        self.tree = tree
        self.settings = settings
    }

    /// - Throws: `.unavailable` for the first one that is not there, before a byte of the others is fetched.
    func sources(of pointers: [(path: BundlePath, pointer: LFSPointer)]) throws -> [BundlePath: any ByteSource] {
        guard !pointers.isEmpty else { return [:] }
        switch try LFSEndpoint(of: url, configured: try configured()) {
        case .folders(let folders):
            return try Dictionary(
                uniqueKeysWithValues: pointers.map { ($0.path, try object($0.path, $0.pointer, folders)) })
        case .server(let address):
            let client = LFSClient(
                address, git: tree.copy.repository.git, settings: settings, name: tree.copy.repository.url)
            let actions = try client.locate(pointers)
            return Dictionary(
                uniqueKeysWithValues: pointers.map { path, pointer in
                    (path, Self.source(path, pointer, client, actions[pointer]))
                })
        }
    }

    private static func source(
        _ path: BundlePath, _ pointer: LFSPointer, _ client: LFSClient, _ action: LFSAction?
    ) -> any ByteSource {
        // No server has the empty object.
        pointer.size == 0
            ? MemorySource([], digest: pointer.digest) : LFSFile(pointer, path: path, client: client, action: action)
    }

    /// What `.lfsconfig` of the commit says of the server. Nothing else in it is looked at.
    private func configured() throws -> String? {
        guard let entry = tree.entries.first(where: { $0.path.text == ".lfsconfig" }), entry.kind != .link else {
            return nil
        }
        _ = try GitBlobs(copy: tree.copy).load([entry.name])
        // git reads its own format, and follows no include of a file that lies in a repository.
        let answer = try tree.copy.run(["config", "--blob", entry.name, "--get", "lfs.url"])
        guard answer.isSuccess else { return nil }
        return String(decoding: answer.output, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init)
    }

    private func object(_ path: BundlePath, _ pointer: LFSPointer, _ folders: [String]) throws -> any ByteSource {
        if pointer.size == 0 { return MemorySource([], digest: pointer.digest) }
        let hex = pointer.digest.hex
        let place = "\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)"
        for folder in folders {
            guard let status = try FileStatus.of("\(folder)/\(place)", followsLinks: true), status.kind == .regular
            else {
                continue
            }
            guard status.size == pointer.size else {
                throw KapsuleError(
                    .unverified, id: "lfs.size",
                    "the LFS object of \(path), \(folder)/\(place), has \(status.size) bytes, and its pointer promises \(pointer.size)",
                    remedy: "run git lfs fsck in that repository")
            }
            return LFSObjectFile(path: "\(folder)/\(place)", pointer: pointer)
        }
        throw KapsuleError(
            .unavailable, id: "lfs.missing",
            "\(path) of \(url) is in Git LFS, and the repository does not have its content (\(hex.prefix(12))…)",
            remedy: "run git lfs fetch --all in that repository, or leave the file out with EXCLUDE")
    }
}

/// An object of LFS on this machine. Its name is what it should be; whoever reads it checks that.
struct LFSObjectFile: ByteSource {
    let path: String
    let pointer: LFSPointer

    var size: Int64 { pointer.size }
    var digest: Digest? { pointer.digest }
    var backing: ByteBacking { .stream }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        try FileSource(OpenFile.reading(path), keepsItsName: false).read(range, into: &sink)
    }
}
