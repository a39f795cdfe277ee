extension EROFS.Planner {
    /// Every directory in turn: first all its children get inodes and data, then its entries are placed; then its
    /// subdirectories, in the order of a recursion.
    mutating func walkByDirectory() {
        begin(0)
        allocator.place(upTo: inodeBin(0))
        fixMetadataStart()
        var waiting = [0]
        while let directory = waiting.popLast() {
            guard let listing = listings[directory] else { continue }
            var subdirectories: [Int] = []
            for entry in listing.children {
                if placements[entry.node] != nil {
                    placements[entry.node]?.links += 1
                } else {
                    begin(entry.node)
                    if isDirectory(entry.node) { subdirectories.append(entry.node) }
                }
            }
            placeEntries(of: directory, listing)
            waiting += subdirectories.reversed()
        }
    }

    /// Reserves what a node needs when it is first met: of a directory the inode alone, as its blocks come later.
    private mutating func begin(_ node: Int) {
        var data: EROFS.SpaceAllocator.BinID?
        if !isDirectory(node), wholeBlocks(node) > 0 { data = allocator.reserveData(blocks: wholeBlocks(node)) }
        var inode = reserveInodeAndTail(node)
        if inode == nil {
            // The tail goes to a block of its own: behind the data there is, or behind the inode.
            if let data { allocator.extend(data) }
            inode = (reserveInode(node), nil)
            if data == nil, !isDirectory(node) { data = allocator.reserveData(blocks: 1) }
        }
        guard let inode else { preconditionFailure("an inode was reserved above") }
        placements[node] = Placement(
            inode: inode.inode, serial: takeSerial(), firstBlock: data.flatMap { allocator.bins[$0].address },
            tail: inode.tail)
        if let data { allocator.drop(data) }
    }

    private mutating func placeEntries(of directory: Int, _ listing: EROFS.Listing) {
        var blocks: EROFS.SpaceAllocator.BinID?
        if wholeBlocks(directory) > 0 { blocks = allocator.reserveDirectoryBlocks(wholeBlocks(directory)) }
        for entry in listing.entries { allocator.place(upTo: inodeBin(entry.node)) }
        if tailSize(directory) > 0, placements[directory]?.tail == nil {
            if let blocks { allocator.extend(blocks) } else { blocks = allocator.reserveDirectoryBlocks(1) }
        }
        guard let blocks else { return }
        placements[directory]?.firstBlock = allocator.bins[blocks].address
        allocator.drop(blocks)
    }
}
