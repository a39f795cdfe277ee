internal import KapsuleCore

/// The records of a pax header that change what an entry is.
///
/// Source: POSIX.1-2008 `pax`, "pax Extended Header": `LENGTH KEY=VALUE\n`, the length counting the whole record.
struct PaxRecords {
    var path: [UInt8]?
    var linkPath: [UInt8]?
    var size: Int64?

    init(_ bytes: [UInt8], at offset: Int64, _ problem: TarProblem) throws {
        let malformed = { (reason: String) in problem.malformed("tar.pax", "a pax header \(reason)", at: offset) }
        var rest = bytes[...]
        // Some writers count the padding in.
        while let first = rest.first, first != 0 {
            guard let blank = rest.firstIndex(of: 0x20), let length = Self.decimal(rest[rest.startIndex..<blank]),
                length <= rest.count, length > blank - rest.startIndex + 1,
                rest[rest.startIndex + length - 1] == UInt8(ascii: "\n")
            else { throw malformed("has a record of a wrong length") }
            let record = rest[blank + 1..<rest.startIndex + length - 1]
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")), equals > record.startIndex else {
                throw malformed("has a record without a key")
            }
            let value = Array(record[(equals + 1)...])
            switch String(decoding: record[..<equals], as: UTF8.self) {
            case "path": path = try Self.text(value, malformed)
            case "linkpath": linkPath = try Self.text(value, malformed)
            case "size":
                guard let number = Self.decimal(value[...]), number <= TarLimit.fileSize else {
                    throw malformed("gives a size that is no number or absurd")
                }
                size = Int64(number)
            case let key where key.hasPrefix("GNU.sparse."):
                throw problem.unsupported("a sparse file", at: offset)
            default: break
            }
            rest = rest.dropFirst(length)
        }
        guard rest.allSatisfy({ $0 == 0 }) else { throw malformed("goes on after its end") }
    }

    /// Nil for an empty value, which takes a record back.
    private static func text(_ value: [UInt8], _ malformed: (String) -> KapsuleError) throws -> [UInt8]? {
        // A reader in C would stop at the NUL and see another name than we do.
        guard !value.contains(0) else { throw malformed("gives a name with a NUL in it") }
        return value.isEmpty ? nil : value
    }

    private static func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
        guard (1...18).contains(digits.count) else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value
    }
}
