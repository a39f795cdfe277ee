extension EROFS.Planner {
    /// A directory whose entries are being visited.
    private struct Frame {
        var node: Int
        /// Holds the directory's whole blocks, until all below it is done.
        var data: EROFS.SpaceAllocator.BinID?
        var nextEntry = 0
    }

    /// One recursion, with the stack in hand: paths can be deeper than a thread's stack.
    mutating func walkDepthFirst() {
        var frames = [visitDirectory(0)]
        allocator.place(upTo: inodeBin(0))
        fixMetadataStart()
        while let frame = frames.last {
            guard let entry = listings[frame.node]?.entry(frame.nextEntry) else {
                if let data = frame.data { allocator.drop(data) }
                frames.removeLast()
                continue
            }
            if placements[entry.node] == nil {
                if isDirectory(entry.node) {
                    frames.append(visitDirectory(entry.node))
                    continue
                }
                visitOther(entry.node)
            } else if !isDirectory(entry.node) {
                placements[entry.node]?.links += 1
            }
            allocator.place(upTo: inodeBin(entry.node))
            frames[frames.count - 1].nextEntry += 1
        }
    }

    private mutating func visitDirectory(_ node: Int) -> Frame { Frame(node: node, data: visit(node)) }

    private mutating func visitOther(_ node: Int) {
        if let data = visit(node) { allocator.drop(data) }
    }

    /// Reserves data, then the inode. Returns the bin of the data.
    private mutating func visit(_ node: Int) -> EROFS.SpaceAllocator.BinID? {
        let serial = takeSerial()
        var data: EROFS.SpaceAllocator.BinID?
        if wholeBlocks(node) > 0 { data = allocator.reserveData(blocks: wholeBlocks(node)) }
        var inode = reserveInodeAndTail(node)
        if inode == nil {
            // The tail goes to a block of its own, before the inode.
            if let data { allocator.extend(data) } else { data = allocator.reserveData(blocks: 1) }
            inode = (reserveInode(node), nil)
        }
        guard let inode else { preconditionFailure("an inode was reserved above") }
        placements[node] = Placement(
            inode: inode.inode, serial: serial, firstBlock: data.flatMap { allocator.bins[$0].address },
            tail: inode.tail)
        return data
    }
}
