internal import KapsuleCore

/// The table at the end of a ZIP archive: what is in it, and where. Nothing is unpacked.
///
/// Source: PKWARE APPNOTE 6.3.9, sections 4.3.7, 4.3.12 to 4.3.16.
struct ZipDirectory {
    struct Entry {
        let name: String
        /// 0 is stored, 8 deflated.
        let method: UInt16
        let isEncrypted: Bool
        /// Of its bytes in the archive.
        let storedSize: Int64
        let size: Int64
        /// Where its local header begins, in bytes from the start of the archive.
        let offset: Int64
    }

    enum Limit {
        static let entries = 1 << 18
        /// The whole table, in bytes.
        static let directory: Int64 = 64 << 20
        /// Everything that is kept in memory, about, in bytes.
        static let kept = 32 << 20
    }

    /// In the order of the table.
    private(set) var entries: [Entry] = []
    private let source: any ByteSource
    private let what: String
    private var kept = 0

    /// - Throws: `.unverified` for an archive that is cut short, or whose table cannot be true.
    init(reading source: any ByteSource, what: String) throws {
        self.source = source
        self.what = what
        let table = try locate()
        try readEntries(table)
        try checkPlaces(before: table.range.lowerBound)
    }

    private func refuse(_ id: String, _ why: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "zip.\(id)", "\(what) \(why)",
            remedy: id == "truncated"
                ? "the file was cut short: fetch it again" : "the file is damaged: fetch it again")
    }

    // MARK: The end of the archive

    private struct Table {
        var range: Range<Int64>
        var count: UInt64
    }

    private static let endSize = 22

    /// Finds the table by the record at the end, which a comment may follow.
    private func locate() throws -> Table {
        let size = Int64(min(source.size, Int64(Self.endSize + 65535)))
        let start = source.size - size
        var sink = MemorySink()
        try source.read(start..<source.size, into: &sink)
        let tail = sink.bytes
        guard tail.count >= Self.endSize else { throw refuse("truncated", "ends before its table of contents") }
        for place in stride(from: tail.count - Self.endSize, through: 0, by: -1) {
            guard tail[place..<place + 4].elementsEqual([0x50, 0x4B, 5, 6]),
                place + Self.endSize + Int(tail.get(UInt16.self, at: place + 20)) == tail.count
            else { continue }
            return try table(tail, place, endOffset: start + Int64(place))
        }
        throw refuse("truncated", "ends without the table of contents of a ZIP archive")
    }

    private func table(_ tail: [UInt8], _ place: Int, endOffset: Int64) throws -> Table {
        let count = tail.get(UInt16.self, at: place + 10)
        let size = tail.get(UInt32.self, at: place + 12)
        let offset = tail.get(UInt32.self, at: place + 16)
        guard tail.get(UInt16.self, at: place + 4) == 0 || count == .max else {
            throw refuse("volumes", "is one volume of a ZIP archive that was split")
        }
        if count == .max || size == .max || offset == .max, let large = try largeTable(before: endOffset) {
            return large
        }
        return try checked(UInt64(count), offset: UInt64(offset), size: UInt64(size), end: endOffset)
    }

    /// The table of an archive of more than 4 GiB, or of more than 65535 members.
    private func largeTable(before endOffset: Int64) throws -> Table? {
        guard endOffset >= 20 else { return nil }
        let locator = try bytes(endOffset - 20, 20)
        guard locator.starts(with: [0x50, 0x4B, 6, 7]) else { return nil }
        guard let place = Int64(exactly: locator.get(UInt64.self, at: 8)), place <= endOffset - 20 - 56 else {
            throw refuse("directory", "has a ZIP64 record that lies outside of it")
        }
        let record = try bytes(place, 56)
        guard record.starts(with: [0x50, 0x4B, 6, 6]) else {
            throw refuse("directory", "has no ZIP64 record where it says that one is")
        }
        return try checked(
            record.get(UInt64.self, at: 32), offset: record.get(UInt64.self, at: 48),
            size: record.get(UInt64.self, at: 40), end: place)
    }

    private func checked(_ count: UInt64, offset: UInt64, size: UInt64, end: Int64) throws -> Table {
        guard offset <= UInt64(end), size <= UInt64(end) - offset else {
            throw refuse("directory", "has a table of contents that lies outside of it")
        }
        guard size <= UInt64(Limit.directory) else {
            throw refuse("directory-limit", "has a table of contents of \(size) bytes, which no model has")
        }
        guard count <= size / 46 else {
            throw refuse("count", "claims \(count) members in a table of contents of \(size) bytes")
        }
        guard count <= UInt64(Limit.entries) else {
            throw refuse("count-limit", "has \(count) members; no model needs more than \(Limit.entries)")
        }
        return Table(range: Int64(offset)..<Int64(offset + size), count: count)
    }

    private func bytes(_ offset: Int64, _ count: Int64) throws -> [UInt8] {
        var sink = MemorySink()
        try source.read(offset..<offset + count, into: &sink)
        return sink.bytes
    }

    // MARK: Members

    private mutating func readEntries(_ table: Table) throws {
        let slice = SliceSource(source, table.range)
        var cursor = SourceCursor(slice, what: what, format: "zip", limit: Limit.directory)
        for number in 1...max(1, table.count) where table.count > 0 {
            entries.append(try readEntry(number, &cursor))
        }
    }

    private mutating func readEntry(_ number: UInt64, _ cursor: inout SourceCursor) throws -> Entry {
        func part() -> String { "the table of contents, at member \(number)" }
        let head = Array(try cursor.bytes(46, part()))
        guard head.starts(with: [0x50, 0x4B, 1, 2]) else {
            throw refuse("directory", "has a table of contents that is damaged at member \(number)")
        }
        let nameLength = Int(head.get(UInt16.self, at: 28))
        let nameBytes = Array(try cursor.bytes(nameLength, part()))
        let extra = Array(try cursor.bytes(Int(head.get(UInt16.self, at: 30)), part()))
        try cursor.skip(Int64(head.get(UInt16.self, at: 32)), part())
        kept += nameLength + 96
        guard kept <= Limit.kept else { throw refuse("directory-limit", "has too many names in its table of contents") }
        var wide = WideFields(extra)
        let size = wide.number(head.get(UInt32.self, at: 24))
        let storedSize = wide.number(head.get(UInt32.self, at: 20))
        let offset = wide.number(head.get(UInt32.self, at: 42))
        let name = String(decoding: nameBytes, as: UTF8.self)
        guard let size, let storedSize, let offset, let size = Int64(exactly: size),
            let storedSize = Int64(exactly: storedSize), let offset = Int64(exactly: offset),
            offset <= self.source.size, storedSize <= self.source.size
        else { throw refuse("member", "has a member '\(Printable.text(name.prefix(100)))' that lies outside of it") }
        return Entry(
            name: name, method: head.get(UInt16.self, at: 10), isEncrypted: head.get(UInt16.self, at: 8) & 1 != 0,
            storedSize: storedSize, size: size, offset: offset)
    }

    /// Sizes and offsets that need 64 bits, in the order of the fields that are all ones.
    private struct WideFields {
        private var rest: ArraySlice<UInt8> = []

        init(_ extra: [UInt8]) {
            var place = 0
            while place + 4 <= extra.count {
                let length = Int(extra.get(UInt16.self, at: place + 2))
                guard place + 4 + length <= extra.count else { return }
                if extra.get(UInt16.self, at: place) == 1 { rest = extra[(place + 4)..<(place + 4 + length)] }
                place += 4 + length
            }
        }

        /// Nil where the field says that the number is elsewhere, and it is not.
        mutating func number(_ field: UInt32) -> UInt64? {
            guard field == .max else { return UInt64(field) }
            guard rest.count >= 8 else { return nil }
            defer { rest = rest.dropFirst(8) }
            return Array(rest.prefix(8)).get(UInt64.self, at: 0)
        }
    }

    // MARK: Places

    /// Members lie behind one another, before the table.
    private func checkPlaces(before table: Int64) throws {
        let ascending = entries.indices.sorted { entries[$0].offset < entries[$1].offset }
        for (place, index) in ascending.enumerated() {
            let entry = entries[index]
            let next = place + 1 < ascending.count ? entries[ascending[place + 1]].offset : table
            // A local header has 30 bytes and the name at least.
            guard entry.storedSize <= table, entry.offset <= table - entry.storedSize,
                entry.offset + 30 + Int64(entry.name.utf8.count) + entry.storedSize <= next
            else {
                throw refuse(
                    "overlap",
                    "has a member '\(Printable.text(entry.name.prefix(100)))' that runs into what follows it")
            }
        }
    }

    /// Where the bytes of a member are; nil when they are not as they are, but compressed or encrypted.
    ///
    /// - Throws: `.unverified` when the header in front of them says something else than the table.
    func content(of entry: Entry) throws -> Range<Int64>? {
        let name = Printable.text(entry.name.prefix(100))
        guard entry.offset + 30 <= source.size else { throw refuse("member", "ends within its member '\(name)'") }
        let head = try bytes(entry.offset, 30)
        let nameLength = Int64(head.get(UInt16.self, at: 26))
        let start = entry.offset + 30 + nameLength + Int64(head.get(UInt16.self, at: 28))
        guard head.starts(with: [0x50, 0x4B, 3, 4]), start <= source.size, entry.storedSize <= source.size - start,
            head.get(UInt16.self, at: 8) == entry.method,
            String(decoding: try bytes(entry.offset + 30, nameLength), as: UTF8.self) == entry.name
        else {
            throw refuse("header", "says two different things of its member '\(name)'")
        }
        guard entry.method == 0, !entry.isEncrypted else { return nil }
        guard entry.storedSize == entry.size else {
            throw refuse("header", "stores its member '\(name)' in another size than it has")
        }
        return start..<start + entry.storedSize
    }
}
