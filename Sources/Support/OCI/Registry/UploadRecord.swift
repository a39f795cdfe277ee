internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// Where an upload goes on that an earlier process began.
///
///     CACHE/uploads/HEX.json    {"location":"https://…","size":…}, mode 0600; locked while a process uploads
///
/// HEX is the SHA-256 of host, repository and what is uploaded. The location is the registry's own; no login is in it.
/// How many bytes the registry has is not kept: it is asked.
final class UploadRecord: Sendable {
    /// Registries forget sessions after a week, distribution's default.
    private static let longestAge: Int64 = 7 * 86400 * 1_000_000_000
    private static let limit: Int64 = 64 << 10

    private struct Wire: Codable {
        let location: String
        let size: Int64
    }

    private let path: String
    private let size: Int64
    private let file: OpenFile
    private let lock: FileLock

    /// Nil where nothing can be kept, or another process uploads the same.
    static func open(cache: String?, host: String, repository: String, what: String, size: Int64) -> UploadRecord? {
        guard let cache else { return nil }
        let folder = "\(cache)/uploads"
        let name = Digest.of("\(host)\n\(repository)\n\(what)").hex
        return try? UploadRecord(folder, name, size)
    }

    private init?(_ folder: String, _ name: String, _ size: Int64) throws {
        try Directories.make(folder, mode: 0o700)
        path = "\(folder)/\(name).json"
        self.size = size
        Self.removeOld(in: folder)
        file = try OpenFile.updating(path, mode: 0o600)
        guard let lock = try FileLock.ifFree(file, .exclusive) else { return nil }
        self.lock = lock
        // Its last owner may have removed it while we were opening it.
        let (opened, named) = (try file.status(), try FileStatus.of(path, followsLinks: false))
        guard opened.kind == .regular, opened.owner == Ownership.effectiveUser, opened.inode == named?.inode else {
            return nil
        }
        try file.setMode(0o600)
    }

    private static func removeOld(in folder: String) {
        for name in (try? Directories.names(in: folder)) ?? [] {
            let path = "\(folder)/\(name)"
            guard let status = try? FileStatus.of(path, followsLinks: false),
                status.modified < WallClock.now - longestAge
            else { continue }
            _ = try? Directories.removeFile(path)
        }
    }

    /// What an earlier process noted; nil for nothing that can be used.
    var location: WebAddress? {
        guard let bytes = try? FileSource(file, keepsItsName: false).readAll(limit: Self.limit, what: "a record"),
            let wire = try? JSONDecoder().decode(Wire.self, from: Data(bytes)), wire.size == size
        else { return nil }
        return WebAddress(parsing: wire.location)
    }

    func note(_ location: WebAddress) {
        let json = JSON.members(["location": .string(location.text), "size": .int(size)])
        let bytes = Array(json.compact.utf8)
        // What is there meanwhile is no JSON, and counts as nothing.
        try? file.truncate(to: 0)
        try? file.write(bytes.span, at: 0)
    }

    /// There is nothing to go on with.
    func remove() { _ = try? Directories.removeFile(path) }
}
