extension EROFS {
    /// Finds places for inodes, tails and data, as the reference formatter does.
    ///
    /// A *bin* is a run of blocks that is being filled. Bins stand in one list; those at the front have got their first
    /// block (they are *placed*), those behind have not. Where something goes depends on which bins are open, how full
    /// they are and in which order they came to be so: hence the queues, one for each fill of the last block.
    struct SpaceAllocator {
        typealias BinID = Int

        enum Kind { case data, metadata }

        /// Something reserved: `offset` bytes from the start of a bin.
        struct Place {
            var bin: BinID
            var offset: Int64
        }

        struct Bin {
            let kind: Kind
            /// Bytes used.
            var fill: Int64 = 0
            /// First block; nil until placed.
            var address: Int64?
            /// Blocks held. Only `byDirectory` keeps it apart from `fill`.
            var blockCount: Int64 = 0
            /// Neighbours in the list; 0 is its head.
            var previous = 0
            var next = 0
            /// Neighbours in a queue, and which queue: nil when in none.
            var queuePrevious = 0
            var queueNext = 0
            var queue: Int?

            init(_ kind: Kind) { self.kind = kind }
        }

        /// First and last bin of a queue; 0 when it is empty.
        private struct Queue {
            var front = 0
            var back = 0
        }

        let layout: Profile.Layout
        /// Bin 0 is the head of the list and holds nothing.
        private(set) var bins: [Bin]
        /// The bin placed last that is still in the list, or the head.
        private(set) var last = 0
        /// The next free block.
        private(set) var tail: Int64 = 0
        /// Queues by fill modulo a block: of placed bins, then of unplaced ones.
        private var queues: [Queue]
        /// A bit for each queue that holds something.
        private var occupied: [UInt64]

        static let blockSize = Int64(EROFS.blockSize)
        /// Queues of unplaced bins start here.
        private static let unplacedQueues = EROFS.blockSize

        init(layout: Profile.Layout) {
            self.layout = layout
            bins = [Bin(.data)]
            queues = Array(repeating: Queue(), count: 2 * EROFS.blockSize)
            occupied = Array(repeating: 0, count: 2 * EROFS.blockSize / 64)
        }

        // MARK: What both layouts ask

        func isPlaced(_ bin: BinID) -> Bool { bins[bin].address != nil }
        /// Whether the bin that follows has its place already, so that this one cannot grow.
        func successorIsPlaced(_ bin: BinID) -> Bool { bins[bin].next != 0 && isPlaced(bins[bin].next) }

        func blocks(_ bin: BinID) -> Int64 {
            switch layout {
            case .depthFirst: (bins[bin].fill + Self.blockSize - 1) / Self.blockSize
            case .byDirectory: bins[bin].blockCount
            }
        }

        /// Whether `bin` is placed and the free blocks begin right behind it.
        func endsAtTail(_ bin: BinID) -> Bool {
            guard let address = bins[bin].address else { return false }
            return tail == address + blocks(bin)
        }

        /// Offset from the start of the image; the bin must be placed.
        func position(of place: Place) -> Int64 {
            guard let address = bins[place.bin].address else {
                preconditionFailure("what has no block has no position")
            }
            return address * Self.blockSize + place.offset
        }

        // MARK: The list

        /// A new, empty bin behind `predecessor`; at the end of the list when that is nil.
        mutating func insert(_ kind: Kind, after predecessor: BinID? = nil) -> BinID {
            let before = predecessor ?? bins[0].previous
            let bin = bins.count
            bins.append(Bin(kind))
            let after = bins[before].next
            bins[bin].previous = before
            bins[bin].next = after
            bins[before].next = bin
            bins[after].previous = bin
            return bin
        }

        /// Gives every bin up to and including `bin` its blocks.
        mutating func place(upTo bin: BinID) {
            guard !isPlaced(bin) else { return }
            var next = bins[last].next
            while true {
                place(next)
                if next == bin { return }
                next = bins[next].next
            }
        }

        mutating func placeAll() {
            var next = bins[last].next
            while next != 0 {
                place(next)
                next = bins[next].next
            }
        }

        private mutating func place(_ bin: BinID) {
            bins[bin].address = tail
            last = bin
            enqueue(bin)
            tail += blocks(bin)
        }

        /// Takes `bin` out of the list; its blocks stay its own.
        mutating func drop(_ bin: BinID) {
            dequeue(bin)
            let (previous, next) = (bins[bin].previous, bins[bin].next)
            bins[previous].next = next
            bins[next].previous = previous
            if last == bin { last = previous }
        }

        /// Reserves `size` bytes at the end of `bin`; `trailing` more will follow in the same block.
        mutating func attach(_ size: Int64, align: Int64, trailing: Int64 = 0, to bin: BinID) -> Place {
            let offset = bins[bin].fill.roundedUp(to: align)
            let endedAtTail = endsAtTail(bin)
            let reachesEnd: Bool
            switch layout {
            case .depthFirst:
                let used = (bins[bin].fill + Self.blockSize - 1) % Self.blockSize + 1
                reachesEnd = used.roundedUp(to: align) + size + trailing >= Self.blockSize
            case .byDirectory:
                reachesEnd = offset + size + trailing >= bins[bin].blockCount * Self.blockSize
            }
            bins[bin].fill = offset + size
            bins[bin].blockCount = max(
                bins[bin].blockCount, (bins[bin].fill + Self.blockSize - 1) / Self.blockSize)
            if reachesEnd, endedAtTail, let address = bins[bin].address { tail = address + blocks(bin) }
            enqueue(bin)
            return Place(bin: bin, offset: offset)
        }

        // MARK: The queues

        /// Puts `bin` at the back of the queue of its fill.
        private mutating func enqueue(_ bin: BinID) {
            dequeue(bin)
            guard bins[bin].kind == .metadata else { return }
            if layout == .depthFirst && !isPlaced(bin) { return }
            let queue = Int(bins[bin].fill % Self.blockSize) + (isPlaced(bin) ? 0 : Self.unplacedQueues)
            let back = queues[queue].back
            bins[bin].queue = queue
            bins[bin].queuePrevious = back
            bins[bin].queueNext = 0
            if back == 0 { queues[queue].front = bin } else { bins[back].queueNext = bin }
            queues[queue].back = bin
            occupied[queue / 64] |= 1 << UInt64(queue % 64)
        }

        private mutating func dequeue(_ bin: BinID) {
            guard let queue = bins[bin].queue else { return }
            let (previous, next) = (bins[bin].queuePrevious, bins[bin].queueNext)
            if previous == 0 { queues[queue].front = next } else { bins[previous].queueNext = next }
            if next == 0 { queues[queue].back = previous } else { bins[next].queuePrevious = previous }
            if queues[queue].front == 0 { occupied[queue / 64] &= ~(1 << UInt64(queue % 64)) }
            bins[bin].queue = nil
        }

        /// The first bin that `accept` makes something of, in the queues of the fills from `high` down to `low`.
        /// `accept` gets the front of each queue that is not empty.
        func search<T>(
            placed: Bool, from high: Int64, downTo low: Int64, _ accept: (BinID) -> T?
        ) -> T? {
            guard high >= low else { return nil }
            let base = placed ? 0 : Self.unplacedQueues
            let lowest = base + Int(low)
            var queue = base + Int(high)
            while queue >= lowest {
                // The highest occupied queue of this word at or below `queue`.
                let word = occupied[queue / 64] & (~0 >> UInt64(63 - queue % 64))
                guard word != 0 else {
                    queue = queue / 64 * 64 - 1
                    continue
                }
                queue = queue / 64 * 64 + 63 - word.leadingZeroBitCount
                guard queue >= lowest else { return nil }
                if let found = accept(queues[queue].front) { return found }
                queue -= 1
            }
            return nil
        }
    }
}
