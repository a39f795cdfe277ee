internal import KapsuleCore

extension EROFS {
    /// Gives every inode, directory and file of a tree its place. Reads no content and does no I/O.
    ///
    /// The two walks are in `Planner+DepthFirst.swift` and `Planner+ByDirectory.swift`.
    struct Planner {
        /// What was found out of one node.
        struct Placement {
            var inode: SpaceAllocator.Place
            /// The inode's serial number, in the order of the walk.
            var serial: UInt32
            /// Names of a non-directory in the image.
            var links: Int = 1
            /// First block of what does not stand beside the inode.
            var firstBlock: Int64?
            /// Where the last `size % 4096` bytes are, when beside the inode.
            var tail: SpaceAllocator.Place?
        }

        let tree: Tree
        let profile: Profile
        /// Of each directory: its entries as they are written, with `.` and `..`.
        let listings: [Listing?]
        var allocator: SpaceAllocator
        /// Of each node; nil while it has not been come to.
        var placements: [Placement?]
        var nextSerial: UInt32
        /// First block that inode numbers count from.
        var metadataStart: Int64 = 0

        init(_ tree: Tree, _ profile: Profile) throws {
            self.tree = tree
            self.profile = profile
            let leavesOutLostFound = profile.layout == .depthFirst
            listings = tree.nodes.indices.map { index in
                tree.nodes[index].kind == .directory
                    ? Listing(of: index, in: tree, leavesOutLostFound: leavesOutLostFound) : nil
            }
            allocator = SpaceAllocator(layout: profile.layout)
            placements = Array(repeating: nil, count: tree.nodes.count)
            nextSerial = profile.layout == .depthFirst ? 0 : 1
            try Refusals.check(tree, profile)
        }

        mutating func run() throws {
            let superblock = allocator.insert(.metadata)
            _ = allocator.attach(Int64(Superblock.offset + Superblock.size), align: 1, to: superblock)
            switch profile.layout {
            case .depthFirst:
                walkDepthFirst()
            case .byDirectory:
                allocator.place(upTo: superblock)
                walkByDirectory()
            }
            allocator.placeAll()
            guard allocator.tail < Int64(UInt32.max) else { throw Refusals.tooManyBlocks(allocator.tail) }
        }

        // MARK: What both walks ask

        /// Bytes of content: of a directory, its entries; of a symbolic link, its target.
        func size(_ node: Int) -> Int64 {
            switch tree.nodes[node].kind {
            case .regular(_, let size): size
            case .directory: listings[node]?.size ?? 0
            case .symbolicLink(let target): Int64(target.count)
            case .characterDevice, .blockDevice, .pipe, .socket: 0
            }
        }

        func wholeBlocks(_ node: Int) -> Int64 { size(node) / SpaceAllocator.blockSize }
        func tailSize(_ node: Int) -> Int64 { size(node) % SpaceAllocator.blockSize }
        func inodeBin(_ node: Int) -> SpaceAllocator.BinID {
            guard let placement = placements[node] else { preconditionFailure("a node is met before it is waited for") }
            return placement.inode.bin
        }

        func isDirectory(_ node: Int) -> Bool { listings[node] != nil }

        mutating func takeSerial() -> UInt32 {
            defer { nextSerial += 1 }
            return nextSerial
        }

        /// Reserves the inode of `node` with its tail beside it. Nil when the two do not go into one block.
        mutating func reserveInodeAndTail(
            _ node: Int
        ) -> (inode: SpaceAllocator.Place, tail: SpaceAllocator.Place?)? {
            let tailSize = tailSize(node)
            guard let inode = allocator.reserveMetadata(inodeSize(node), align: Int64(slotSize), trailing: tailSize)
            else { return nil }
            guard tailSize > 0 else { return (inode, nil) }
            return (inode, allocator.attach(tailSize, align: 1, to: inode.bin))
        }

        /// Reserves the inode of `node` alone.
        mutating func reserveInode(_ node: Int) -> SpaceAllocator.Place {
            guard let inode = allocator.reserveMetadata(inodeSize(node), align: Int64(slotSize), trailing: 0) else {
                preconditionFailure("an inode alone fits any empty block")
            }
            return inode
        }

        private func inodeSize(_ node: Int) -> Int64 {
            Int64(Inode.size(ofContent: size(node), profile))
        }

        /// Where inode numbers count from, once the root has its place: the root's must fit 16 bits.
        mutating func fixMetadataStart() {
            guard let root = placements[0] else { return }
            let excess = allocator.position(of: root.inode) - EROFS.lastRootPosition
            if excess > 0 { metadataStart = (excess + SpaceAllocator.blockSize - 1) / SpaceAllocator.blockSize }
        }
    }
}
