internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto

/// What a profile makes of a bundle: the layout, and what the hash tree is made with.
struct VerityParameters: Sendable {
    let map: EROFS.ImageMap
    let uuid: UUIDBytes
    let salt: [UInt8]

    /// - Throws: `.usage` for a bundle that such an image cannot hold.
    init(_ bundle: ModelBundle, _ profile: EROFS.Profile) throws {
        // privatemode names an image by its root hash, so nothing in it may depend on another name.
        let isNamed = profile != .privatemode
        try self.init(
            bundle, profile, uuid: isNamed ? UUIDBytes(name: "\(bundle.identity)-inner") : .zero,
            salt: isNamed ? Digest.of(bundle.identity).bytes : [0])
    }

    init(_ bundle: ModelBundle, _ profile: EROFS.Profile, uuid: UUIDBytes, salt: [UInt8]) throws {
        self.uuid = uuid
        self.salt = salt
        map = try EROFS.layOut(try Self.tree(of: bundle), as: profile, uuid: uuid)
        for (file, place) in zip(bundle.files, map.files) where place == nil {
            throw KapsuleError(
                .usage, id: "verity.lost-found",
                "\(file.path) cannot be in a \(profile.name) image: its formatter leaves out names that begin with "
                    + "'lost+found'",
                remedy: "rename or exclude it, or use --verity-profile modelwrap-2 or privatemode")
        }
    }

    /// The bundle's files and their directories, with the source's modes where the bundle has them.
    static func tree(of bundle: ModelBundle) throws -> EROFS.Tree {
        let modes = bundle.directoryPermissions.mapValues { UInt16($0 & 0o7777) }
        var tree = EROFS.Tree(rootPermissions: modes[""] ?? 0o755)
        for file in bundle.files {
            try tree.addFile(
                at: file.path, size: file.source.size,
                permissions: file.permissions.map { UInt16($0 & 0o7777) } ?? (file.isExecutable ? 0o755 : 0o644),
                directoryPermissions: { modes[$0] ?? 0o755 })
        }
        return tree
    }
}
