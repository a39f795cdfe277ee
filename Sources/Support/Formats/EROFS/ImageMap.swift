public import KapsuleCrypto

extension EROFS {
    /// Where everything of an image goes, worked out from names and sizes before any file is read.
    ///
    /// Each byte of the image is in exactly one of these: a metadata region, or the whole blocks of a file, or the zeros
    /// behind a file's last byte in its last block.
    public struct ImageMap: Sendable {
        /// Bytes of a file that lie together in the image.
        public struct Extent: Sendable, Hashable {
            /// From the start of the file, in bytes.
            public var fileOffset: Int64
            /// From the start of the image, in bytes.
            public var offset: Int64
            /// In bytes.
            public var length: Int64
        }

        /// Where one file's bytes go.
        public struct FilePlace: Sendable, Hashable {
            /// Starts at a block. Its last block is filled up with zeros.
            public var data: Extent?
            /// Inside a metadata region, behind the file's inode; follows `data` in the file.
            public var tail: Extent?
        }

        /// Blocks that hold superblock, inodes, directories and symbolic links: complete but for the files' tails, which
        /// are still zero, and the superblock's checksum.
        public struct Region: Sendable {
            /// From the start of the image, in bytes; a multiple of the block size.
            public var offset: Int64
            /// Whole blocks.
            public var bytes: [UInt8]
        }

        /// Length of the image in bytes; a multiple of the block size.
        public let size: Int64
        /// Ascending, with something else between any two. The first one begins with block 0.
        public let metadata: [Region]
        /// Of each file of the tree in the order of adding; nil where the image leaves it out (a name that begins with
        /// `lost+found`, in the layout of erofs-utils 1.5).
        public let files: [FilePlace?]
    }

    /// Lays out `tree`. Equal trees give equal maps, whatever the order of adding.
    ///
    /// - Throws: `.usage` for a tree that the format, or the reference formatter, cannot hold.
    public static func layOut(_ tree: Tree, as profile: Profile, uuid: UUIDBytes) throws -> ImageMap {
        var planner = try Planner(tree, profile)
        try planner.run()
        return try Encoder(planner, uuid).map()
    }
}
