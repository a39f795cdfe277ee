extension EROFS.SpaceAllocator {
    /// A bin, and how full its last block will be.
    private struct Candidate {
        var bin: BinID
        var use: Int64
    }

    /// Reserves `size` bytes of metadata at a multiple of `align`, followed in the same block by `trailing` bytes which
    /// the caller attaches next. Nil when the two cannot be in one block.
    mutating func reserveMetadata(_ size: Int64, align: Int64, trailing: Int64) -> Place? {
        let found: BinID?
        switch layout {
        case .depthFirst:
            guard size % Self.blockSize + trailing <= Self.blockSize else { return nil }
            found = searchDepthFirst(size, align, trailing)
        case .byDirectory:
            found = searchByDirectory(size, align, trailing)
        }
        let bin = found ?? insert(.metadata)
        if layout == .byDirectory && found == nil && end(ofPlacing: size, align, trailing, in: bin) == nil {
            // The empty bin stays in the list, and from then on ends the growth of the one before it.
            return nil
        }
        return attach(size, align: align, trailing: trailing, to: bin)
    }

    /// Reserves whole blocks for data and places them, with what must be placed before.
    mutating func reserveData(blocks: Int64) -> BinID {
        let bin = insert(.data, after: layout == .byDirectory ? last : nil)
        _ = attach(blocks * Self.blockSize, align: Self.blockSize, to: bin)
        place(upTo: bin)
        return bin
    }

    /// Reserves whole blocks for a directory behind all metadata so far, and places them.
    mutating func reserveDirectoryBlocks(_ blocks: Int64) -> BinID {
        let bin = insert(.metadata)
        _ = attach(blocks * Self.blockSize, align: Self.blockSize, to: bin)
        place(upTo: bin)
        return bin
    }

    /// One more block at the end of a bin of whole blocks.
    mutating func extend(_ bin: BinID) { _ = attach(Self.blockSize, align: Self.blockSize, to: bin) }

    // MARK: Depth first

    private func searchDepthFirst(_ size: Int64, _ align: Int64, _ trailing: Int64) -> BinID? {
        let alone = size % Self.blockSize + trailing
        guard alone > 0 else { return nil }
        var best: Candidate?
        if size + trailing < Self.blockSize {
            let room = (Self.blockSize - size - trailing) / align * align
            best = search(placed: true, from: room, downTo: 1) { bin in
                // One that can still grow is looked at below.
                guard successorIsPlaced(bin) else { return nil }
                let end = (bins[bin].fill.roundedUp(to: align) + size - 1) % Self.blockSize + 1
                return Candidate(bin: bin, use: end + trailing)
            }
        }
        var bin = last == 0 ? bins[0].next : last
        while bin != 0 {
            if let use = use(ofGrowing: bin, size, align, trailing, alone), use > best?.use ?? 0 {
                best = Candidate(bin: bin, use: use)
            }
            bin = bins[bin].next
        }
        return best?.bin
    }

    /// How full the last block of `bin` would be; nil when the bin is not to be used.
    private func use(
        ofGrowing bin: BinID, _ size: Int64, _ align: Int64, _ trailing: Int64, _ alone: Int64
    ) -> Int64? {
        let used = bins[bin].fill % Self.blockSize
        guard bins[bin].kind == .metadata, used != 0,
            let end = end(ofPlacing: size, align, trailing, in: bin)
        else { return nil }
        let use = end % Self.blockSize + trailing
        return use > Self.blockSize || (use < used && use < alone) ? nil : use
    }

    // MARK: By directory

    private func searchByDirectory(_ size: Int64, _ align: Int64, _ trailing: Int64) -> BinID? {
        let want = size + trailing
        let room = (Self.blockSize - want % Self.blockSize) / align * align
        let fitting: (BinID) -> Candidate? = { bin in
            self.end(ofPlacing: size, align, trailing, in: bin).map { Candidate(bin: bin, use: $0 + trailing) }
        }
        guard want < Self.blockSize else {
            let high = room == Self.blockSize ? Self.blockSize - 1 : room
            if room == Self.blockSize, let found = search(placed: false, from: 0, downTo: 0, fitting) {
                return found.bin
            }
            return search(placed: false, from: high, downTo: 1, fitting)?.bin
        }
        var best = search(placed: true, from: room, downTo: 1) { front -> Candidate? in
            // One that can still grow is looked at below; the next in its queue will do.
            let bin = successorIsPlaced(front) ? front : bins[front].queueNext
            return bin == 0 ? nil : fitting(bin)
        }
        func consider(_ candidate: Candidate?) {
            if let candidate, candidate.use > best?.use ?? 0 { best = candidate }
        }
        if last != 0, bins[last].kind == .metadata { consider(fitting(last)) }
        consider(
            search(placed: false, from: room, downTo: 0, fitting)
                ?? search(placed: false, from: Self.blockSize - 1, downTo: room + align, fitting))
        return best?.bin
    }

    // MARK: Fitting

    /// Where in its last block `bin` would end, 1...4096, with `size` more bytes; nil when they and what trails them do
    /// not fit, or the bin would have to grow and cannot.
    private func end(
        ofPlacing size: Int64, _ align: Int64, _ trailing: Int64, in bin: BinID
    ) -> Int64? {
        let start = bins[bin].fill.roundedUp(to: align)
        let lastByte = (start + size - 1) % Self.blockSize
        let mustGrow: Bool
        switch layout {
        case .depthFirst:
            let used = (bins[bin].fill + Self.blockSize - 1) % Self.blockSize + 1
            mustGrow = used.roundedUp(to: align) + size + trailing > Self.blockSize
        case .byDirectory:
            guard lastByte + trailing < Self.blockSize else { return nil }
            mustGrow = start + size + trailing > bins[bin].blockCount * Self.blockSize
        }
        if mustGrow && (successorIsPlaced(bin) || (isPlaced(bin) && !endsAtTail(bin))) { return nil }
        return lastByte + 1
    }
}
