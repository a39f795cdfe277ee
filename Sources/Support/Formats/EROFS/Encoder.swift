internal import KapsuleCore
internal import KapsuleCrypto

extension EROFS {
    /// Writes what a planner has placed.
    struct Encoder {
        private let planner: Planner
        private let uuid: UUIDBytes
        private var files: [ImageMap.FilePlace?]
        private var regions: [ImageMap.Region]

        init(_ planner: Planner, _ uuid: UUIDBytes) throws {
            self.planner = planner
            self.uuid = uuid
            files = Self.filePlaces(planner)
            regions = Self.emptyRegions(imageSize: planner.allocator.tail * SpaceAllocator.blockSize, files)
        }

        consuming func map() throws -> ImageMap {
            for (node, placement) in planner.placements.enumerated() {
                if let placement { try write(node, placement) }
            }
            Superblock(
                rootNumber: UInt16(try number(of: 0)),
                inodeCount: UInt64(planner.placements.count { $0 != nil }),
                blockCount: UInt32(planner.allocator.tail), metadataStart: UInt32(planner.metadataStart), uuid: uuid,
                incompatibleFeatures: planner.profile.incompatibleFeatures
            ).encode(into: &regions[0].bytes)
            return ImageMap(
                size: planner.allocator.tail * SpaceAllocator.blockSize, metadata: regions, files: files)
        }

        // MARK: Places

        private static func filePlaces(_ planner: Planner) -> [ImageMap.FilePlace?] {
            var files = [ImageMap.FilePlace?](repeating: nil, count: planner.tree.fileCount)
            for (node, placement) in planner.placements.enumerated() {
                guard let placement, case .regular(let file, let size) = planner.tree.nodes[node].kind else { continue }
                var place = ImageMap.FilePlace()
                let tailSize = placement.tail == nil ? 0 : size % SpaceAllocator.blockSize
                if let first = placement.firstBlock {
                    place.data = .init(
                        fileOffset: 0, offset: first * SpaceAllocator.blockSize, length: size - tailSize)
                }
                if let tail = placement.tail {
                    place.tail = .init(
                        fileOffset: size - tailSize, offset: planner.allocator.position(of: tail), length: tailSize)
                }
                files[file] = place
            }
            return files
        }

        /// All blocks that are no file's own, filled with zeros.
        private static func emptyRegions(
            imageSize: Int64, _ files: [ImageMap.FilePlace?]
        ) -> [ImageMap.Region] {
            let data = files.compactMap { $0?.data }.sorted { $0.offset < $1.offset }
            var regions: [ImageMap.Region] = []
            var end: Int64 = 0
            func addRegion(upTo next: Int64) {
                if next > end { regions.append(.init(offset: end, bytes: .init(repeating: 0, count: Int(next - end)))) }
            }
            for extent in data {
                addRegion(upTo: extent.offset)
                end = (extent.offset + extent.length).roundedUp(to: SpaceAllocator.blockSize)
            }
            addRegion(upTo: imageSize)
            return regions
        }

        // MARK: Bytes

        private mutating func write(_ node: Int, _ placement: Planner.Placement) throws {
            put(try inode(node, placement).encode(), at: planner.allocator.position(of: placement.inode))
            switch planner.tree.nodes[node].kind {
            case .directory:
                guard let listing = planner.listings[node] else { return }
                let bytes = try listing.encode { try number(of: $0) }
                putContent(bytes, placement)
            case .symbolicLink(let target):
                putContent(target, placement)
            case .regular, .characterDevice, .blockDevice, .pipe, .socket:
                break
            }
        }

        private func inode(_ node: Int, _ placement: Planner.Placement) throws -> Inode {
            let source = planner.tree.nodes[node]
            var inode = Inode(
                dataLayout: placement.tail == nil ? .plain : .inlineTail,
                mode: FileType(source.kind).modeBits | source.permissions, links: UInt32(placement.links),
                size: planner.size(node), startBlock: placement.firstBlock.map { UInt32($0) } ?? EROFS.noBlock,
                serial: placement.serial, isExtended: Inode.isExtended(planner.size(node), planner.profile))
            switch source.kind {
            case .directory:
                let links = 2 + (planner.listings[node]?.subdirectoryCount ?? 0)
                inode.links = links > Int(UInt16.max) ? 1 : UInt32(links)
            case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
                inode.startBlock = Inode.deviceNumber(major: major, minor: minor)
            case .regular, .symbolicLink, .pipe, .socket:
                if inode.size == 0 { inode.startBlock = 0 }
            }
            return inode
        }

        /// The number of a node: slots from where numbers count.
        private func number(of node: Int) throws -> UInt64 {
            guard let placement = planner.placements[node] else { preconditionFailure("what is named has a place") }
            let start = planner.metadataStart * SpaceAllocator.blockSize
            let position = planner.allocator.position(of: placement.inode)
            guard position >= start else { throw Refusals.numbersWrap(planner.profile) }
            return UInt64((position - start) / Int64(EROFS.slotSize))
        }

        /// Puts the content of a directory or symbolic link where it was placed: whole blocks, then a tail.
        private mutating func putContent(_ bytes: [UInt8], _ placement: Planner.Placement) {
            let tailSize = placement.tail == nil ? 0 : bytes.count % EROFS.blockSize
            if let first = placement.firstBlock {
                put(Array(bytes.dropLast(tailSize)), at: first * SpaceAllocator.blockSize)
            }
            if let tail = placement.tail {
                put(Array(bytes.suffix(tailSize)), at: planner.allocator.position(of: tail))
            }
        }

        /// Regions ascend, so the one that holds `offset` is found by halving.
        private mutating func put(_ bytes: [UInt8], at offset: Int64) {
            var (low, high) = (0, regions.count)
            while high - low > 1 {
                let middle = (low + high) / 2
                if regions[middle].offset <= offset { low = middle } else { high = middle }
            }
            regions[low].bytes.put(bytes, at: Int(offset - regions[low].offset))
        }
    }
}
