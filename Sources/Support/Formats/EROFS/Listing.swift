extension EROFS {
    /// The entries of one directory, in the order and the blocks in which they are written.
    ///
    /// A block is all 12-byte records, then all names back to back, then zeros:
    /// ```
    /// | nid 8 | name offset 2 | type 1 | 0 | … one a name | name | name | …
    /// ```
    /// Source: `fs/erofs/erofs_fs.h`, struct erofs_dirent.
    struct Listing: Sendable {
        struct Entry: Sendable {
            var name: [UInt8]
            var node: Int
            var type: FileType
        }

        static let recordSize = 12
        private static let dot = Array(".".utf8)
        private static let dotDot = Array("..".utf8)

        /// Ascending by the names' bytes; names such as `+x` come before `.`.
        let entries: [Entry]
        /// Bytes of all: whole blocks, then what the last one holds.
        let size: Int64
        /// Index of the first entry of each block.
        private let blockStarts: [Int]

        /// - Parameter leavesOutLostFound: whether names that begin with `lost+found` are not written, as
        ///   erofs-utils 1.5 does not.
        init(of directory: Int, in tree: Tree, leavesOutLostFound: Bool) {
            var entries = [
                Entry(name: Self.dot, node: directory, type: .directory),
                Entry(name: Self.dotDot, node: tree.nodes[directory].parent.index, type: .directory),
            ]
            for child in tree.nodes[directory].children where !(leavesOutLostFound && isLostFound(child.name)) {
                let type = FileType(tree.nodes[child.node.index].kind)
                entries.append(Entry(name: child.name, node: child.node.index, type: type))
            }
            entries.sort { $0.name.lexicographicallyPrecedes($1.name) }
            var starts = [0]
            var used = 0
            for (index, entry) in entries.enumerated() {
                let cost = Self.recordSize + entry.name.count
                if used + cost > EROFS.blockSize {
                    starts.append(index)
                    used = 0
                }
                used += cost
            }
            self.entries = entries
            blockStarts = starts
            size = Int64((starts.count - 1) * EROFS.blockSize + used)
        }

        /// Entry `index`; nil behind the last.
        func entry(_ index: Int) -> Entry? { index < entries.count ? entries[index] : nil }

        /// All but `.` and `..`.
        var children: [Entry] { entries.filter { $0.name != Self.dot && $0.name != Self.dotDot } }

        var subdirectoryCount: Int { entries.count { $0.type == .directory } - 2 }

        /// The bytes of the directory: `size` of them.
        func encode(number: (Int) throws -> UInt64) rethrows -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: Int(size))
            for (block, first) in blockStarts.enumerated() {
                let end = block + 1 < blockStarts.count ? blockStarts[block + 1] : entries.count
                let base = block * EROFS.blockSize
                var nameOffset = (end - first) * Self.recordSize
                for index in first..<end {
                    let record = base + (index - first) * Self.recordSize
                    bytes.put(try number(entries[index].node), at: record)
                    bytes.put(UInt16(nameOffset), at: record + 8)
                    bytes.put(entries[index].type.rawValue, at: record + 10)
                    bytes.put(entries[index].name, at: base + nameOffset)
                    nameOffset += entries[index].name.count
                }
            }
            return bytes
        }
    }

    /// Kinds of files, as directory entries have them.
    enum FileType: UInt8, Sendable {
        case regular = 1, directory, characterDevice, blockDevice, pipe, socket, symbolicLink

        init(_ kind: Tree.Kind) {
            self =
                switch kind {
                case .regular: .regular
                case .directory: .directory
                case .characterDevice: .characterDevice
                case .blockDevice: .blockDevice
                case .pipe: .pipe
                case .socket: .socket
                case .symbolicLink: .symbolicLink
                }
        }

        /// The upper four bits of a mode. Source: `inode(7)`.
        var modeBits: UInt16 {
            switch self {
            case .regular: 0o100000
            case .directory: 0o040000
            case .characterDevice: 0o020000
            case .blockDevice: 0o060000
            case .pipe: 0o010000
            case .socket: 0o140000
            case .symbolicLink: 0o120000
            }
        }
    }

    static func isLostFound(_ name: [UInt8]) -> Bool { name.starts(with: "lost+found".utf8) }
}
