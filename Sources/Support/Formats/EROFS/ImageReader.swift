public import KapsuleCore
internal import KapsuleCrypto

extension EROFS {
    /// Reads an image back, without mounting it. Takes what erofs-utils writes without compression.
    ///
    /// Written for hostile input: every offset is checked before it is used, memory and time are bounded by the image's
    /// length, and a directory that is reached twice is refused.
    ///
    /// - Throws: `.unverified`, with the path at which the trouble is.
    public static func readImage(_ source: some ByteSource) throws -> Image {
        var reader = try ImageReader(source)
        return try reader.read()
    }

    /// A directory that still has to be gone through.
    private struct Waiting {
        var path: [UInt8]
        var entry: Image.Entry
    }

    private struct ImageReader {
        private let source: any ByteSource
        private let superblock: Superblock
        private let imageSize: Int64
        private var blocks: [Int64: [UInt8]] = [:]
        private var entries: [Image.Entry] = []
        private var directories: Set<UInt64> = []
        /// Bytes that directories may still have, all together: in an honest image they lie side by side.
        private var directoryBudget: Int64

        private static let longestPath = 64 << 10
        private static let longestTarget: Int64 = 4096
        private static let keptBlocks = 64

        init(_ source: any ByteSource) throws {
            self.source = source
            guard source.size >= Int64(EROFS.blockSize) else { throw Self.isNone("it has less than one block") }
            var sink = MemorySink()
            try source.read(0..<Int64(EROFS.blockSize), into: &sink)
            superblock = try Superblock(decoding: sink.bytes)
            imageSize = Int64(superblock.blockCount) * Int64(EROFS.blockSize)
            guard imageSize > 0, imageSize <= source.size else {
                throw Self.refuse("its superblock promises \(imageSize) bytes, and there are \(source.size)")
            }
            directoryBudget = imageSize
        }

        static func refuse(_ why: String) -> KapsuleError {
            KapsuleError(.unverified, id: "erofs.damaged", "the EROFS image cannot be read: \(why)")
        }

        /// Of a file that does not even begin as one.
        static func isNone(_ why: String) -> KapsuleError {
            KapsuleError(.unverified, id: "erofs.none", "the EROFS image cannot be read: \(why)")
        }

        private func refuse(_ why: String, at path: [UInt8]) -> KapsuleError {
            Self.refuse("/\(String(decoding: path, as: UTF8.self)) \(why)")
        }

        mutating func read() throws -> Image {
            let root = try entry(number: UInt64(superblock.rootNumber), path: [])
            guard root.entry.kind == .directory else { throw Self.refuse("its root is not a directory") }
            var waiting = [Waiting(path: [], entry: root.entry)]
            while let next = waiting.popLast() {
                entries.append(next.entry)
                guard next.entry.kind == .directory else { continue }
                waiting += try children(of: next).reversed()
            }
            return Image(
                uuid: superblock.uuid, size: imageSize, inodeCount: superblock.inodeCount,
                incompatibleFeatures: superblock.incompatibleFeatures, rootSerial: root.inode.serial,
                rootIsExtended: root.inode.isExtended, entries: entries)
        }

        // MARK: Directories

        private mutating func children(of directory: Waiting) throws -> [Waiting] {
            guard directories.insert(directory.entry.inodeNumber).inserted else {
                throw refuse("is a directory that was met before", at: directory.path)
            }
            directoryBudget -= directory.entry.size
            guard directoryBudget >= 0 else {
                throw refuse("is larger than the image has room for", at: directory.path)
            }
            var children: [Waiting] = []
            var lastName: [UInt8] = []
            let parts = [directory.entry.data, directory.entry.tail].compactMap { $0 }
            for part in parts {
                for start in stride(from: Int64(0), to: part.length, by: EROFS.blockSize) {
                    let length = min(part.length - start, Int64(EROFS.blockSize))
                    let block = try bytes(part.offset + start..<part.offset + start + length)
                    for record in try records(block, at: directory.path) {
                        guard lastName.isEmpty || lastName.lexicographicallyPrecedes(record.name) else {
                            throw refuse("has names that do not ascend", at: directory.path)
                        }
                        lastName = record.name
                        if record.name == Array(".".utf8) || record.name == Array("..".utf8) { continue }
                        let path =
                            directory.path.isEmpty ? record.name : directory.path + [UInt8(ascii: "/")] + record.name
                        guard path.count <= Self.longestPath else { throw refuse("is too deep", at: directory.path) }
                        let child = try entry(number: record.number, path: path)
                        guard child.inode.type.rawValue == record.type else {
                            throw refuse("is of another type in its directory than in its inode", at: path)
                        }
                        children.append(Waiting(path: path, entry: child.entry))
                    }
                }
            }
            return children
        }

        private struct Record {
            var number: UInt64
            var type: UInt8
            var name: [UInt8]
        }

        /// The records of one block of a directory, or of the part of one that is its tail.
        private func records(_ block: [UInt8], at path: [UInt8]) throws -> [Record] {
            let size = Listing.recordSize
            guard block.count >= size else { throw refuse("has an entry that is cut off", at: path) }
            let namesStart = Int(block.get(UInt16.self, at: 8))
            guard namesStart >= size, namesStart % size == 0, namesStart <= block.count else {
                throw refuse("has names at impossible offset \(namesStart)", at: path)
            }
            let count = namesStart / size
            return try (0..<count).map { index in
                let start = Int(block.get(UInt16.self, at: index * size + 8))
                let end = index + 1 < count ? Int(block.get(UInt16.self, at: (index + 1) * size + 8)) : block.count
                guard start >= namesStart, start < end, end <= block.count else {
                    throw refuse("has a name at impossible offset \(start)", at: path)
                }
                // Behind the last name of a whole block there are zeros.
                let name = Array(index + 1 < count ? block[start..<end] : block[start..<end].prefix { $0 != 0 })
                guard !name.isEmpty, name.count <= EROFS.maximumNameLength, !name.contains(0),
                    !name.contains(UInt8(ascii: "/"))
                else { throw refuse("has a name that no file can have", at: path) }
                return Record(
                    number: block.get(UInt64.self, at: index * size), type: block[index * size + 10], name: name)
            }
        }

        // MARK: Inodes

        private mutating func entry(
            number: UInt64, path: [UInt8]
        ) throws -> (entry: Image.Entry, inode: DecodedInode) {
            let base = Int64(superblock.metadataStart) * Int64(EROFS.blockSize)
            guard number < UInt64(imageSize) / UInt64(EROFS.slotSize) else {
                throw refuse("has impossible inode number \(number)", at: path)
            }
            let position = base + Int64(number) * Int64(EROFS.slotSize)
            let head = try bytes(position..<position + Int64(Inode.compactSize), for: path)
            let isExtended = head.get(UInt16.self, at: 0) & 1 == 1
            let size = Int64(isExtended ? Inode.extendedSize : Inode.compactSize)
            let record = isExtended ? try bytes(position..<position + size, for: path) : head
            guard let inode = DecodedInode(record) else {
                throw refuse("is compressed or stored in chunks, or its inode is damaged", at: path)
            }
            var entry = Image.Entry(
                path: path, kind: .pipe, permissions: inode.permissions, size: inode.size, inodeNumber: number,
                inodePosition: position)
            try locate(inode, bodyEnd: position + size + inode.attributesSize, in: &entry)
            entry.kind = try kind(of: inode, entry)
            return (entry, inode)
        }

        /// Works out where the content is, and that it lies within the image.
        private func locate(_ inode: DecodedInode, bodyEnd: Int64, in entry: inout Image.Entry) throws {
            guard inode.type.hasContent, inode.size > 0 else { return }
            let blockSize = Int64(EROFS.blockSize)
            let tailSize = inode.layout == .inlineTail ? inode.size % blockSize : 0
            let wholeSize = inode.size - tailSize
            if wholeSize > 0 {
                let start = Int64(inode.startBlock) * blockSize
                guard start <= imageSize, wholeSize <= imageSize - start else {
                    throw refuse("has content outside the image", at: entry.path)
                }
                entry.data = .init(fileOffset: 0, offset: start, length: wholeSize)
            }
            if tailSize > 0 {
                guard bodyEnd + tailSize <= imageSize, bodyEnd / blockSize == (bodyEnd + tailSize - 1) / blockSize
                else {
                    throw refuse("has a tail that crosses a block", at: entry.path)
                }
                entry.tail = .init(fileOffset: wholeSize, offset: bodyEnd, length: tailSize)
            }
        }

        private mutating func kind(of inode: DecodedInode, _ entry: Image.Entry) throws -> Image.Kind {
            switch inode.type {
            case .regular: return .regular
            case .directory: return .directory
            case .characterDevice: return .characterDevice(number: inode.startBlock)
            case .blockDevice: return .blockDevice(number: inode.startBlock)
            case .pipe: return .pipe
            case .socket: return .socket
            case .symbolicLink:
                guard inode.size <= Self.longestTarget else {
                    throw refuse("has an impossibly long target", at: entry.path)
                }
                var target: [UInt8] = []
                for part in [entry.data, entry.tail].compactMap({ $0 }) {
                    target += try bytes(part.offset..<part.offset + part.length)
                }
                return .symbolicLink(target: target)
            }
        }

        // MARK: Bytes

        private mutating func bytes(_ range: Range<Int64>, for path: [UInt8]) throws -> [UInt8] {
            guard range.upperBound <= imageSize else { throw refuse("has its inode outside the image", at: path) }
            return try bytes(range)
        }

        /// Bytes of at most a few blocks, of which the last ones read are kept. The caller has checked the range.
        private mutating func bytes(_ range: Range<Int64>) throws -> [UInt8] {
            let blockSize = Int64(EROFS.blockSize)
            var result: [UInt8] = []
            var offset = range.lowerBound
            while offset < range.upperBound {
                let index = offset / blockSize
                let block = try block(index)
                let end = min(range.upperBound, (index + 1) * blockSize)
                result += block[Int(offset - index * blockSize)..<Int(end - index * blockSize)]
                offset = end
            }
            return result
        }

        private mutating func block(_ index: Int64) throws -> [UInt8] {
            if let known = blocks[index] { return known }
            var sink = MemorySink()
            let start = index * Int64(EROFS.blockSize)
            try source.read(start..<start + Int64(EROFS.blockSize), into: &sink)
            if blocks.count >= Self.keptBlocks { blocks.removeAll(keepingCapacity: true) }
            blocks[index] = sink.bytes
            return sink.bytes
        }
    }

    /// What an inode says, before anything of it is believed.
    private struct DecodedInode {
        var layout: Inode.DataLayout
        var type: FileType
        var permissions: UInt16
        var size: Int64
        var startBlock: UInt32
        var serial: UInt32
        /// Whether the inode has 64 bytes.
        var isExtended: Bool
        /// Bytes of extended attributes between inode and tail.
        var attributesSize: Int64

        /// Nil for layouts of compressed and chunked files, and for what is no file at all.
        init?(_ record: [UInt8]) {
            let format = record.get(UInt16.self, at: 0)
            let mode = record.get(UInt16.self, at: 4)
            let attributeCount = Int64(record.get(UInt16.self, at: 2))
            guard let layout = Inode.DataLayout(rawValue: format >> 1), let type = FileType(modeBits: mode & 0o170000)
            else { return nil }
            self.layout = layout
            self.type = type
            permissions = mode & 0o7777
            isExtended = format & 1 == 1
            size = isExtended ? record.get(Int64.self, at: 8) : Int64(record.get(UInt32.self, at: 8))
            startBlock = record.get(UInt32.self, at: 16)
            serial = record.get(UInt32.self, at: 20)
            attributesSize = attributeCount == 0 ? 0 : 12 + 4 * (attributeCount - 1)
            if size < 0 { return nil }
        }
    }
}

extension EROFS.FileType {
    fileprivate init?(modeBits: UInt16) {
        guard let type = (1...7).compactMap({ EROFS.FileType(rawValue: $0) }).first(where: { $0.modeBits == modeBits })
        else {
            return nil
        }
        self = type
    }

    /// Whether the inode's size counts bytes in the image.
    fileprivate var hasContent: Bool {
        switch self {
        case .regular, .directory, .symbolicLink: true
        case .characterDevice, .blockDevice, .pipe, .socket: false
        }
    }
}

extension EROFS.Superblock {
    /// Features that say nothing about uncompressed images: bit 0, which release 1.9 sets always.
    private static let knownIncompatibleFeatures: UInt32 = 1

    /// Reads the record from an image's first block.
    ///
    /// - Throws: `.unverified` for a wrong checksum, for other block sizes and for features that change the layout.
    init(decoding block: [UInt8]) throws {
        let base = Self.offset
        guard block.get(UInt32.self, at: base) == Self.magic else {
            throw EROFS.ImageReader.isNone("it has no EROFS superblock")
        }
        guard block[base + 12] == 12, block[base + 13] == 0 else {
            throw EROFS.ImageReader.refuse("its blocks are not of 4096 bytes, or its superblock has extensions")
        }
        incompatibleFeatures = block.get(UInt32.self, at: base + 80)
        guard incompatibleFeatures & ~Self.knownIncompatibleFeatures == 0 else {
            throw EROFS.ImageReader.refuse(
                "it uses features that kapsule does not read (0x\(String(incompatibleFeatures, radix: 16))), such as "
                    + "compression")
        }
        if block.get(UInt32.self, at: base + 8) & 1 == 1 {
            var unsealed = block
            unsealed.put(UInt32(0), at: base + 4)
            guard EROFS.checksum(ofFirstBlock: unsealed) == block.get(UInt32.self, at: base + 4) else {
                throw EROFS.ImageReader.refuse("its superblock's checksum is wrong")
            }
        }
        rootNumber = block.get(UInt16.self, at: base + 14)
        inodeCount = block.get(UInt64.self, at: base + 16)
        blockCount = block.get(UInt32.self, at: base + 36)
        metadataStart = block.get(UInt32.self, at: base + 40)
        uuid = UUIDBytes(bytes: Array(block[base + 48..<base + 64]))
    }
}
