public import KapsuleCore
public import KapsuleCrypto

extension EROFS {
    /// An image that was read back: every name in it, and where the bytes behind the name are.
    public struct Image: Sendable {
        public enum Kind: Sendable, Hashable {
            case regular
            case directory
            case symbolicLink(target: [UInt8])
            case characterDevice(number: UInt32)
            case blockDevice(number: UInt32)
            case pipe
            case socket
        }

        public struct Entry: Sendable, Hashable {
            /// From the root, parts joined by `/`, as bytes; empty for the root itself.
            public var path: [UInt8]
            public var kind: Kind
            /// The low twelve bits of the mode.
            public var permissions: UInt16
            /// Of a regular file's content, in bytes; of others as the inode says.
            public var size: Int64
            /// Names that have the same number are hard links to one file.
            public var inodeNumber: UInt64
            /// Where the inode is, in bytes from the start of the image.
            public var inodePosition: Int64
            /// Whole blocks, from the start of a block.
            public var data: ImageMap.Extent?
            /// The end of the content, beside the inode.
            public var tail: ImageMap.Extent?

            /// The path as text, what is not UTF-8 replaced.
            public var displayPath: String { "/" + String(decoding: path, as: UTF8.self) }
        }

        public let uuid: UUIDBytes
        /// Of the file system in bytes; the source may be longer.
        public let size: Int64
        public let inodeCount: UInt64
        public let incompatibleFeatures: UInt32
        /// The inode serial of the root: 0 before erofs-utils 1.7, and 1 after.
        public let rootSerial: UInt32
        /// Whether the root's inode has 64 bytes.
        public let rootIsExtended: Bool
        /// Depth first, names ascending in each directory, the root first.
        public let entries: [Entry]

        /// The profile whose formatter leaves such marks. Not a proof: only laying the tree out again would be one.
        public var likelyProfile: Profile? {
            switch (rootSerial, incompatibleFeatures, rootIsExtended) {
            case (0, 0, false): .modelwrap1
            case (1, 0, false): .modelwrap2
            case (1, 0, true): .repart186
            case (1, 1, false): .privatemode
            default: nil
            }
        }

        /// Regular files, each name of each.
        public var files: [Entry] { entries.filter { $0.kind == .regular } }

        /// The content of `entry`, out of the source that the image was read from.
        public func content(of entry: Entry, in source: some ByteSource) -> any ByteSource {
            let parts = [entry.data, entry.tail].compactMap { $0 }.map {
                SliceSource(source, $0.offset..<$0.offset + $0.length)
            }
            // One part alone can be cloned by whoever takes it.
            return parts.count == 1 ? parts[0] : ConcatenatedSource(parts)
        }

        /// Who has bytes in block `index`, content or inode. Empty for what belongs to the file system as a whole.
        public func entries(inBlock index: Int64) -> [Entry] {
            let block = index * Int64(EROFS.blockSize)..<(index + 1) * Int64(EROFS.blockSize)
            return entries.filter { entry in
                let content = [entry.data, entry.tail].compactMap { $0 }
                return block.contains(entry.inodePosition)
                    || content.contains { block.overlaps($0.offset..<$0.offset + $0.length) }
            }
        }

        /// What a person is told of a bad block: the files with content in it, or what it is for.
        public func description(ofBlock index: Int64) -> String {
            let block = index * Int64(EROFS.blockSize)..<(index + 1) * Int64(EROFS.blockSize)
            let owners = files.filter { file in
                [file.data, file.tail].compactMap { $0 }.contains { block.overlaps($0.offset..<$0.offset + $0.length) }
            }
            if !owners.isEmpty { return owners.map(\.displayPath).joined(separator: ", ") }
            return index == 0 ? "the superblock" : "the file system's directories and inodes"
        }
    }
}
