internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI

/// Puts a file together whose parts were unpacked into a hidden folder of the target.
struct PartJoin {
    static let folder = AtomicFile.temporaryPrefix + "parts"

    let file: PartedFile
    let target: String
    let replaces: Bool

    /// Copies the parts, sharing their storage where the file system can, checks the whole, gives it its name, and removes
    /// the parts.
    ///
    /// - Throws: `.unverified` when the whole is not what was promised, `.conflict` when something else has its name.
    func run(_ activity: Activity) throws {
        let root = try RootDirectory(target)
        if let there = try root.status(file.path.text), !replaces || there.kind == .directory {
            throw KapsuleError(
                .conflict, id: "unpack.exists", "\(target)/\(file.path) is there already, with other content",
                remedy: "use --force to replace it, or choose another directory")
        }
        let parts = try file.parts.map { try FileSource(root.reading("\(Self.folder)/\($0)")) }
        let isExecutable = parts.first.map { $0.status.mode & 0o100 != 0 } ?? false
        let joined = try AtomicFile(
            in: root.nearestDirectory(file.path.ancestors.last ?? ""), mode: isExecutable ? 0o755 : 0o644)
        var sink = FileSink(joined.file)
        for part in parts { try sink.append(part) }
        let digest = try CountedHash.digest(of: FileSource(joined.file), activity)
        guard digest == file.whole.digest, sink.offset == file.whole.size else {
            for part in file.parts { _ = try? root.remove("\(Self.folder)/\(part)") }
            throw KapsuleError(
                .unverified, id: "part.mismatch",
                "the parts of \(file.path) do not make what was promised: expected \(file.whole.digest) of "
                    + "\(file.whole.size) bytes, got \(digest) of \(sink.offset)",
                remedy: "build the image again: its parts are not those of one file")
        }
        if let parent = file.path.ancestors.last { try root.makeDirectory(parent) }
        try root.commit(joined, as: file.path.text, replaces: replaces)
        for part in file.parts { try root.remove("\(Self.folder)/\(part)") }
    }

    /// Removes the hidden folder: all that was wanted of it has been used.
    static func clear(_ target: String) throws {
        let root = try RootDirectory(target)
        if try root.status(folder)?.kind == .directory { try clear(folder, in: root) }
    }

    private static func clear(_ path: String, in root: RootDirectory) throws {
        for name in try Directories.names(in: "\(root.path)/\(path)") {
            let below = "\(path)/\(name)"
            if try root.status(below)?.kind == .directory { try clear(below, in: root) } else { try root.remove(below) }
        }
        try root.remove(path)
    }
}
