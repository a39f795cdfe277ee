public import KapsuleCore

/// Where everything of an archive goes, worked out from names and sizes before any content is there.
///
/// The archive is, for each slot, its header, its content and its padding, and then `ending` zeros.
public struct TarLayout: Sendable {
    public enum Entry: Sendable, Hashable {
        case directory(String)
        case file(String, size: Int64, isExecutable: Bool = false)
    }

    /// The place of one entry. Offsets and lengths are in bytes, from the start of the archive.
    public struct Slot: Sendable, Hashable {
        public let header: [UInt8]
        public let headerOffset: Int64
        public let isDirectory: Bool
        /// Of the content; 0 for a directory.
        public let size: Int64
        /// Zeros after the content.
        public let padding: Int64

        public var contentOffset: Int64 { headerOffset + Int64(header.count) }
        /// Where the next entry begins.
        public var end: Int64 { contentOffset + size + padding }
    }

    /// In the order of the entries.
    public let slots: [Slot]
    /// Zeros after the last slot.
    public let ending: Int64
    /// Length of the whole archive.
    public let size: Int64

    public init(_ entries: some Sequence<Entry>) {
        var slots: [Slot] = []
        var offset: Int64 = 0
        for entry in entries {
            let slot = Slot(entry, at: offset)
            slots.append(slot)
            offset = slot.end
        }
        self.slots = slots
        ending = TarHeader.ending(after: offset)
        size = offset + ending
    }

    /// The whole archive.
    ///
    /// - Parameter contents: of the files, in the order of their entries; each of its entry's size.
    public func archive(of contents: [any ByteSource]) -> ConcatenatedSource {
        var contents = contents[...]
        var parts: [any ByteSource] = []
        for slot in slots {
            parts.append(MemorySource(slot.header))
            guard !slot.isDirectory, let content = contents.popFirst() else { continue }
            precondition(content.size == slot.size, "a file's content has the size its header gives")
            parts.append(content)
            parts.append(ZeroSource(size: slot.padding))
        }
        return ConcatenatedSource(parts + [ZeroSource(size: ending)])
    }
}

extension TarLayout.Slot {
    init(_ entry: TarLayout.Entry, at offset: Int64) {
        headerOffset = offset
        switch entry {
        case .directory(let path):
            header = TarHeader.directory(path)
            isDirectory = true
            size = 0
        case .file(let path, let size, let isExecutable):
            header = TarHeader.file(path, size: size, isExecutable: isExecutable)
            isDirectory = false
            self.size = size
        }
        padding = TarHeader.padding(after: size)
    }
}
