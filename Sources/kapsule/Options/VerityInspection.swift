internal import Exporters
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// An image file in words, and as JSON.
struct VerityInspection {
    private let glimpse: ImageGlimpse
    /// Where the root hash is from, unless it was given.
    private let sideFile: SideFile?

    init(_ image: ImageFile) throws {
        glimpse = try ImageGlimpse(image.file, try image.flags.claim(for: image.file, image.toolbox.environment))
        sideFile = image.flags.rootHash == nil ? image.file.sideFile : nil
    }

    private var file: SealedFile { glimpse.file }

    private var kind: (name: String, words: String) {
        switch file.container {
        case .image: ("verity", "file system with its hash tree")
        case .encryptedDisk: ("emwp", "encrypted disk")
        case .repartDisk: ("repart", "disk with a data and a hash partition")
        }
    }

    private var table: PartitionTable? {
        switch file.container {
        case .image: nil
        case .encryptedDisk(let table), .repartDisk(let table): table
        }
    }

    private var salt: [UInt8]? { glimpse.sealed?.salt ?? glimpse.superblock?.salt }
    private var root: Digest? { glimpse.root }

    // MARK: For people

    var text: String {
        var lines = [
            "Name:        \(Printable.text(file.path))",
            "Kind:        \(kind.words)",
            "Size:        \(ByteCount.text(file.source.size))",
        ]
        if let profile = glimpse.system?.likelyProfile { lines.append("Profile:     \(profile.name), by its marks") }
        lines += systemLines + treeLines + rootLines + partitionLines + fileLines
        if glimpse.system == nil {
            lines.append("The rest is encrypted: give the root hash and --key-file to see it.")
        }
        return lines.joined(separator: "\n")
    }

    private var systemLines: [String] {
        guard let system = glimpse.system else { return [] }
        return [
            "Files:       \(system.files.count), \(ByteCount.text(system.files.reduce(0) { $0 + $1.size }))",
            "UUID:        \(system.uuid)",
            "Data:        \(system.size / Int64(EROFS.blockSize)) blocks of \(EROFS.blockSize) bytes",
        ]
    }

    private var treeLines: [String] {
        var lines: [String] = []
        if let geometry = glimpse.geometry {
            let levels = geometry.levels.reversed().map { "\($0.blocks)" }.joined(separator: " + ")
            let offset = geometry.treeOffset - Int64(VerityGeometry.blockSize)
            lines.append(
                "Hash area:   at byte \(offset), over \(geometry.dataBlocks) blocks, "
                    + (levels.isEmpty ? "no tree" : "levels of \(levels) blocks"))
        }
        if let salt { lines.append("Salt:        \(salt.isEmpty ? "none" : Hex.encode(salt))") }
        if let uuid = glimpse.superblock?.uuid { lines.append("Verity UUID: \(uuid)") }
        return lines
    }

    private var rootLines: [String] {
        guard let root else { return ["Root hash:   not known: none was given, and none lies beside the file"] }
        let found = sideFile.map { " (from \(Printable.text($0.path)))" } ?? ""
        let agreement =
            switch glimpse.topAgrees {
            case true?: "the top of the hash tree agrees; 'kapsule verify' reads the rest"
            case false?: "THE TOP OF THE HASH TREE DOES NOT AGREE"
            case nil: "not compared"
            }
        return ["Root hash:   \(root.hex)\(found)", "             \(agreement)"]
    }

    private var partitionLines: [String] {
        guard let table else { return [] }
        var rows = TextTable(.right("  #"), .right("FIRST"), .right("LAST"), .left("UUID"), .left("NAME"))
        for (index, partition) in table.partitions.enumerated() {
            rows.add(
                "\(index + 1)", "\(partition.firstSector)", "\(partition.lastSector)", "\(partition.uuid)",
                partition.name)
        }
        return ["Disk GUID:   \(table.diskUUID), \(table.sectorCount) sectors of 512 bytes", "Partitions:"]
            + Self.lines(rows)
    }

    private var fileLines: [String] {
        guard let system = glimpse.system else { return [] }
        var rows = TextTable(.left("  MODE"), .right("SIZE"), .left("PATH"))
        for entry in system.entries { rows.add("  \(Self.mode(entry))", Self.size(entry), Self.name(entry)) }
        return ["Content:"] + Self.lines(rows)
    }

    private static func lines(_ table: TextTable) -> [String] {
        table.rendered().split(separator: "\n").map(String.init)
    }

    /// As `ls -l` has it.
    private static func mode(_ entry: EROFS.Image.Entry) -> String {
        let letters = Array("rwxrwxrwx")
        let bits = letters.indices.map { entry.permissions >> UInt16(8 - $0) & 1 == 1 ? letters[$0] : "-" }
        return type(entry).letter + String(bits)
    }

    private static func type(_ entry: EROFS.Image.Entry) -> (letter: String, name: String) {
        switch entry.kind {
        case .regular: ("-", "file")
        case .directory: ("d", "directory")
        case .symbolicLink: ("l", "link")
        case .characterDevice: ("c", "character device")
        case .blockDevice: ("b", "block device")
        case .pipe: ("p", "pipe")
        case .socket: ("s", "socket")
        }
    }

    private static func size(_ entry: EROFS.Image.Entry) -> String {
        entry.kind == .regular ? ByteCount.text(entry.size) : ""
    }

    private static func name(_ entry: EROFS.Image.Entry) -> String {
        guard case .symbolicLink(let target) = entry.kind else { return entry.displayPath }
        return "\(entry.displayPath) -> \(String(decoding: target, as: UTF8.self))"
    }

    // MARK: For scripts

    var json: JSON {
        .members([
            "path": .string(file.path), "kind": .string(kind.name), "size": .int(file.source.size),
            "profile": glimpse.system?.likelyProfile.map { .string($0.name) },
            "rootHash": root.map { .string($0.hex) },
            "rootHashFrom": sideFile.map { .string($0.path) },
            "topAgrees": glimpse.topAgrees.map(JSON.bool),
            "uuid": glimpse.system.map { .string($0.uuid.description) },
            "verityUUID": glimpse.superblock.map { .string($0.uuid.description) },
            "salt": salt.map { .string(Hex.encode($0)) },
            "dataBlocks": glimpse.geometry.map { .int($0.dataBlocks) },
            "hashOffset": glimpse.geometry.map { .int($0.treeOffset - Int64(VerityGeometry.blockSize)) },
            "levels": glimpse.geometry.map { .array($0.levels.reversed().map { .int($0.blocks) }) },
            "disk": table.map(Self.disk),
            "files": glimpse.system.map { .array($0.entries.map(Self.file)) },
        ])
    }

    private static func disk(_ table: PartitionTable) -> JSON {
        .members([
            "guid": .string(table.diskUUID.description), "sectors": .int(table.sectorCount),
            "partitions": .array(
                table.partitions.map { partition in
                    .members([
                        "type": .string(partition.type.description), "uuid": .string(partition.uuid.description),
                        "first": .int(partition.firstSector), "last": .int(partition.lastSector),
                        "name": .string(partition.name),
                    ])
                }),
        ])
    }

    private static func file(_ entry: EROFS.Image.Entry) -> JSON {
        var target: JSON?
        if case .symbolicLink(let bytes) = entry.kind { target = .string(String(decoding: bytes, as: UTF8.self)) }
        let digits = String(entry.permissions, radix: 8)
        return .members([
            "path": .string(entry.displayPath), "type": .string(type(entry).name),
            "mode": .string(String(repeating: "0", count: 4 - digits.count) + digits), "size": .int(entry.size),
            "target": target,
        ])
    }
}
