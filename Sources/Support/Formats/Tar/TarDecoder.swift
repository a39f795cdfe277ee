internal import KapsuleCore

/// Turns header blocks into entries. It holds what extended headers said until the entry they speak of comes, reads
/// nothing itself, and so serves both the reader of a stream and the index of a file.
///
/// Two extended headers that name the same thing are refused, as is a name that ends early in a NUL: other readers
/// would choose differently, and an archive must mean one thing.
struct TarDecoder {
    enum Step {
        /// `size` bytes of an extended header follow, then padding; they go to `take`.
        case extended(size: Int64)
        /// `size` bytes of no interest follow, then padding.
        case skip(size: Int64)
        /// The entry's content follows, then padding.
        case entry(TarEntry)
        /// A block of zeros.
        case zeros
    }

    let problem: TarProblem
    private var pendingType: UInt8 = 0
    private var pax: PaxRecords?
    private var longName: [UInt8]?
    private var longLink: [UInt8]?

    init(what: String) { problem = TarProblem(what: what) }

    /// Whether an extended header waits for its entry.
    var isWaiting: Bool { pax != nil || longName != nil || longLink != nil }

    /// - Parameters:
    ///   - block: 512 bytes.
    ///   - offset: of the block, from the start of the archive.
    mutating func header(_ block: [UInt8], at offset: Int64) throws -> Step {
        if block.allSatisfy({ $0 == 0 }) {
            guard !isWaiting else { throw problem.malformed("an extended header has no entry", at: offset) }
            return .zeros
        }
        let fields = try TarFields(block, at: offset, problem)
        switch fields.type {
        case UInt8(ascii: "x"), UInt8(ascii: "X"), UInt8(ascii: "L"), UInt8(ascii: "K"):
            guard fields.size <= TarLimit.extensionSize else {
                throw problem.malformed("tar.pax", "an extended header has \(fields.size) bytes", at: offset)
            }
            pendingType = fields.type
            return .extended(size: fields.size)
        case UInt8(ascii: "g"): return .skip(size: fields.size)
        default: return .entry(try entry(fields, at: offset))
        }
    }

    /// What an extended header holds, without padding.
    mutating func take(_ bytes: [UInt8], at offset: Int64) throws {
        func once(_ isFirst: Bool) throws {
            guard isFirst else { throw problem.malformed("an entry has two extended headers of a kind", at: offset) }
        }
        switch pendingType {
        case UInt8(ascii: "L"):
            try once(longName == nil)
            longName = try cString(bytes, at: offset)
        case UInt8(ascii: "K"):
            try once(longLink == nil)
            longLink = try cString(bytes, at: offset)
        default:
            try once(pax == nil)
            pax = try PaxRecords(bytes, at: offset, problem)
        }
    }

    private func cString(_ bytes: [UInt8], at offset: Int64) throws -> [UInt8] {
        let text = bytes.prefix { $0 != 0 }
        guard !text.isEmpty, bytes[text.count...].allSatisfy({ $0 == 0 }) else {
            throw problem.malformed("tar.name", "a long name is empty or has a NUL in it", at: offset)
        }
        return Array(text)
    }

    private mutating func entry(_ fields: TarFields, at offset: Int64) throws -> TarEntry {
        defer { (pax, longName, longLink) = (nil, nil, nil) }
        guard pax?.path == nil || longName == nil, pax?.linkPath == nil || longLink == nil else {
            throw problem.malformed("tar.name", "an entry has a pax name and a GNU name", at: offset)
        }
        var path = try text(pax?.path ?? longName ?? fields.name, at: offset)
        let target = pax?.linkPath ?? longLink ?? fields.linkName
        let kind: TarEntry.Kind
        switch fields.type {
        // Before ustar a directory was a file whose name ends in a slash.
        case UInt8(ascii: "0"), UInt8(ascii: "7"), 0: kind = path.hasSuffix("/") ? .directory : .file
        case UInt8(ascii: "1"): kind = .hardLink(to: try text(target, at: offset))
        case UInt8(ascii: "2"): kind = .symbolicLink(to: try text(target, at: offset))
        case UInt8(ascii: "3"), UInt8(ascii: "4"), UInt8(ascii: "6"): kind = .special
        case UInt8(ascii: "5"): kind = .directory
        case UInt8(ascii: "S"): throw problem.unsupported("a sparse file", at: offset)
        default: throw problem.unsupported("an entry of the unknown type \(fields.type)", at: offset)
        }
        while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
        // Everything but a file is its header alone, whatever its size says.
        return TarEntry(
            path: path, kind: kind, size: kind == .file ? pax?.size ?? fields.size : 0, mode: fields.mode,
            contentOffset: offset + Int64(TarHeader.blockSize))
    }

    private func text(_ bytes: [UInt8], at offset: Int64) throws -> String {
        guard !bytes.isEmpty else { throw problem.malformed("tar.name", "an entry has no name", at: offset) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw problem.malformed("tar.name", "an entry's name is not UTF-8", at: offset)
        }
        return text
    }
}
