internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI

/// Puts a file together whose parts were unpacked into a hidden folder of the target.
///
///     TARGET/.kapsule-parts/PART                     as they were unpacked
///     TARGET/.kapsule-parts/.kapsule-joined-HEX      the first parts of the file with this digest, one behind the other
///
/// A part goes when it has been taken over, so the disk needs room for one part beside the file, not for the file twice.
/// What is joined is known by its length; the digest of the whole tells in the end whether it is right.
struct PartJoin {
    static let folder = AtomicFile.temporaryPrefix + "parts"

    let file: PartedFile
    let target: String
    let replaces: Bool

    /// Joins the parts, sharing their storage where the file system can, checks the whole, and gives it its name.
    ///
    /// - Throws: `.unverified` when the whole is not what was promised, `.conflict` when something else has its name.
    func run(_ activity: Activity) throws {
        let root = try RootDirectory(target)
        if let there = try root.status(file.path.text), !replaces || there.kind == .directory {
            throw KapsuleError(
                .conflict, id: "unpack.exists", "\(target)/\(file.path) is there already, with other content",
                remedy: "use --force to replace it, or choose another directory")
        }
        let joined = try root.updating(Self.joinedPath(file), mode: 0o600)
        guard let lock = try FileLock.ifFree(joined, .exclusive) else {
            throw KapsuleError(
                .unavailable, id: "part.busy", "another kapsule puts \(target)/\(file.path) together",
                remedy: "wait until it has ended, and run the command again")
        }
        defer { withExtendedLifetime(lock) {} }
        try append(to: joined, root)
        try check(joined, root, activity)
        if let parent = file.path.ancestors.last { try root.makeDirectory(parent) }
        try root.move(Self.joinedPath(file), to: file.path.text, replaces: replaces)
    }

    /// Appends the parts that are not in `joined` yet.
    private func append(to joined: OpenFile, _ root: RootDirectory) throws {
        let there = Self.joinedParts(of: file, bytes: try joined.status().size)
        // A part that was being taken over is still here, whole.
        try joined.truncate(to: there.bytes)
        var sink = FileSink(joined, at: there.bytes)
        for (index, part) in file.parts.enumerated().dropFirst(there.count) {
            let path = "\(Self.folder)/\(part.path)"
            let source = try FileSource(root.reading(path))
            if index == 0 { try joined.setMode(source.status.mode & 0o100 != 0 ? 0o755 : 0o644) }
            try sink.append(source)
            try root.remove(path)
        }
    }

    private func check(_ joined: OpenFile, _ root: RootDirectory, _ activity: Activity) throws {
        let source = try FileSource(joined)
        let digest = try CountedHash.digest(of: source, activity)
        guard digest == file.whole.digest, source.size == file.whole.size else {
            try root.remove(Self.joinedPath(file))
            throw KapsuleError(
                .unverified, id: "part.mismatch",
                "the parts of \(file.path) do not make what was promised: expected \(file.whole.digest) of "
                    + "\(file.whole.size) bytes, got \(digest) of \(source.size)",
                remedy:
                    "run the command again; if it happens again, build the image again: its parts are not those of one "
                    + "file")
        }
    }

    // MARK: What is joined already

    private static func joinedPath(_ file: PartedFile) -> String {
        "\(folder)/\(AtomicFile.temporaryPrefix)joined-\(file.whole.digest.hex)"
    }

    /// How many parts an interrupted run has joined, and their bytes.
    private static func joinedParts(of file: PartedFile, bytes: Int64) -> (count: Int, bytes: Int64) {
        var end: Int64 = 0
        for (index, part) in file.parts.enumerated() {
            guard part.size <= bytes - end else { return (index, end) }
            end += part.size
        }
        return (file.parts.count, end)
    }

    /// Layers whose parts an interrupted run has joined: they need not come again.
    static func joinedLayers(of file: PartedFile, in target: String) throws -> ArraySlice<Descriptor> {
        guard let status = try FileStatus.of("\(target)/\(joinedPath(file))", followsLinks: false) else { return [] }
        return file.layers.prefix(joinedParts(of: file, bytes: status.size).count)
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
