public import KapsuleCore

/// One file of a listing: everything that will be checked of it.
public struct HubEntry: Sendable, Hashable {
    /// What proves the content.
    public enum Proof: Sendable, Hashable {
        /// Of a file in large storage (LFS, Xet): SHA-256 of its content.
        case content(Digest)
        /// Of a file in git itself: SHA-1 of `blob SIZE`, NUL and content, 40 hex digits.
        case gitName(String)
    }

    public let path: BundlePath
    /// In bytes.
    public let size: Int64
    public let proof: Proof

    /// Most files of one model.
    static let mostFiles = 100_000
    /// Largest file, in bytes: the sum of the most files of this size is still a number.
    private static let largestFile: Int64 = 1 << 44

    public init(path: BundlePath, size: Int64, proof: Proof) {
        self.path = path
        self.size = size
        self.proof = proof
    }

    /// Nil for a directory.
    ///
    /// - Throws: `.unverified` for a path that is not to be written to a disk, and for rows without what proves a file.
    init?(_ row: HubDocument.Row, in repository: String) throws {
        guard row.type == "file" else { return nil }
        let path = try Self.path(row.path, in: repository)
        let size = row.lfs?.size ?? row.size ?? -1
        guard (0...Self.largestFile).contains(size), row.size.map({ $0 == size }) ?? true else {
            throw Self.malformed(path, repository, "has no sensible size")
        }
        if let lfs = row.lfs {
            guard let digest = Digest(hex: lfs.oid) else {
                throw Self.malformed(path, repository, "has a SHA-256 that is none")
            }
            self.init(path: path, size: size, proof: .content(digest))
        } else {
            guard let name = row.oid, GitName.isValid(name) else {
                throw Self.malformed(path, repository, "has no git name that could prove its content")
            }
            self.init(path: path, size: size, proof: .gitName(name))
        }
    }

    /// Ascending by path, each path once, and no file where another has its directory.
    static func ordered(_ entries: [HubEntry], of repository: String) throws -> [HubEntry] {
        let paths = Set(entries.map(\.path.text))
        for entry in entries {
            if let above = entry.path.ancestors.first(where: paths.contains) {
                throw malformed(entry.path, repository, "lies below '\(above)', which is a file")
            }
        }
        guard paths.count == entries.count else {
            throw KapsuleError(
                .unverified, id: "hub.listing", "the list of files of \(repository) names a file twice",
                remedy: "do not use this repository: git cannot hold such a thing")
        }
        return entries.sorted { $0.path < $1.path }
    }

    /// A path from a stranger: nothing that climbs, on any system, and nothing that commands a terminal.
    static func path(_ text: String, in repository: String) throws -> BundlePath {
        let reason: String
        do {
            let path = try BundlePath(validating: text)
            guard let problem = problem(text) else { return path }
            reason = problem
        } catch {
            reason = error.reason
        }
        throw KapsuleError(
            .unverified, id: "hub.path",
            "\(repository) holds a file whose path \(Quoted.text(text, limit: 120)) \(reason)",
            remedy: "do not use this repository: git and the hub refuse such paths")
    }

    private static func problem(_ text: String) -> String? {
        if text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }) {
            return "holds a control character"
        }
        let parts = text.split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }
        if parts.contains("..") { return "climbs out with '..'" }
        if text.hasPrefix("\\") { return "is absolute on Windows" }
        let start = Array(text.utf8.prefix(3))
        let isDrive = start.count == 3 && start[1] == UInt8(ascii: ":") && "/\\".utf8.contains(start[2])
        return isDrive ? "names a drive" : nil
    }

    private static func malformed(_ path: BundlePath, _ repository: String, _ problem: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "hub.listing",
            "in the list of files of \(repository), \(Quoted.text(path.text, limit: 120)) \(problem)",
            remedy: "check HF_ENDPOINT; if it is a mirror, this is for its operator to mend")
    }
}

/// What git calls an object.
enum GitName {
    /// 40 lower-case hex digits.
    static func isValid(_ text: String) -> Bool {
        text.utf8.count == 40
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
