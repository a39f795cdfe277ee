public import KapsuleCore

extension Safetensors {
    /// What no real model comes near, and a hostile file must not exceed.
    public enum Limit {
        /// The header, in bytes, as the reference has it.
        public static let header: Int64 = 100_000_000
        /// Tensors of one file.
        public static let tensors = 1 << 18
        /// Everything that is kept in memory, about, in bytes.
        public static let kept = 48 << 20
    }

    /// Whether a file may be one, by its first nine bytes; nothing but its reading tells.
    public static func isLikely(_ head: [UInt8], size: Int64) -> Bool {
        guard head.count >= 9 else { return false }
        let length = (0..<8).reduce(UInt64(0)) { $0 | UInt64(head[$1]) << UInt64(8 * $1) }
        return length >= 2 && length <= UInt64(Limit.header) && Int64(length) <= size - 8
            && head[8] == UInt8(ascii: "{")
    }

    /// Reads and checks the header. The data is not read.
    ///
    /// - Parameter what: names the file in errors.
    /// - Throws: `.unverified` for what the reference reader refuses, and for a tensor that is there twice.
    public init(reading source: any ByteSource, what: String) throws {
        var reader = SafetensorsReader(source, what: what)
        self = try reader.read()
    }
}

/// One reading of one file.
private struct SafetensorsReader {
    private var cursor: SourceCursor
    private let source: any ByteSource
    private var metadata: [String: String]?
    private var tensors: [Safetensors.Tensor] = []
    private var kept = 0
    private var remarks: [String] = []

    init(_ source: any ByteSource, what: String) {
        self.source = source
        cursor = SourceCursor(source, what: what, format: "safetensors", limit: 8 + Safetensors.Limit.header)
    }

    mutating func read() throws -> Safetensors {
        let length = try headerLength()
        cursor.end = 8 + length
        if try cursor.peek() != UInt8(ascii: "{") {
            remarks.append("its header does not begin with '{', which other readers than the reference refuse")
        }
        var scanner = JSONScanner(cursor, phrase: "has a header that is no JSON")
        guard try scanner.kind() == .object else { throw refuse("no-object", "has a header that is no JSON object") }
        try scanner.object { name, scanner in
            if name == "__metadata__" { try readMetadata(&scanner) } else { try readTensor(name, &scanner) }
        }
        try scanner.finish()
        tensors.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        try checkNames()
        try checkPlaces(dataSize: source.size - 8 - length)
        remarkOnFormat()
        let strings = (metadata ?? [:]).sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        return Safetensors(
            headerSize: length, metadata: strings.map { ($0.key, $0.value) }, tensors: tensors, fileSize: source.size,
            remarks: remarks)
    }

    private func refuse(_ id: String, _ why: String, remedy: String? = "the file is damaged: fetch it again")
        -> KapsuleError
    {
        cursor.refusal(id, why, remedy: remedy)
    }

    private static func quoted(_ name: String) -> String { "'\(Printable.text(name.prefix(100)))'" }

    // MARK: The header

    private mutating func headerLength() throws -> Int64 {
        guard source.size >= 8 else {
            throw refuse("too-short", "is no safetensors file: it has \(source.size) bytes, fewer than any has")
        }
        let length: UInt64 = try cursor.number("the length of its header")
        guard length <= UInt64(Safetensors.Limit.header) else {
            throw refuse(
                "header-too-large",
                "is no safetensors file: it claims a header of \(length) bytes, and at most 100000000 are allowed",
                remedy: "check what was downloaded under that name")
        }
        guard Int64(length) <= source.size - 8 else {
            throw refuse(
                "truncated-header", "ends at byte \(source.size), and its header alone has \(length) bytes",
                remedy: "the file was cut short: fetch it again")
        }
        return Int64(length)
    }

    private mutating func readMetadata(_ scanner: inout JSONScanner) throws {
        guard metadata == nil else { throw refuse("duplicate-metadata", "has __metadata__ twice") }
        metadata = [:]
        switch try scanner.kind() {
        case .null: try scanner.skip()
        case .object:
            try scanner.object { name, scanner in
                guard try scanner.kind() == .string else {
                    throw refuse("metadata", "has \(Self.quoted(name)) in __metadata__, which is no text")
                }
                let value = try scanner.string(limit: 16 << 20)
                try keep(name.utf8.count + value.utf8.count + 64)
                metadata?[name] = value
            }
        default: throw refuse("metadata", "has a __metadata__ that is no object")
        }
    }

    private mutating func keep(_ size: Int) throws {
        kept += size
        guard kept <= Safetensors.Limit.kept else {
            throw refuse(
                "header-limit", "has a header with more than \(ByteCount.text(Int64(Safetensors.Limit.kept))) to keep",
                remedy: "split the model into several files")
        }
    }

    // MARK: One tensor

    private struct Entry {
        var type: String?
        var shape: [UInt64]?
        var offsets: [UInt64]?
    }

    private mutating func readTensor(_ name: String, _ scanner: inout JSONScanner) throws {
        guard tensors.count < Safetensors.Limit.tensors else {
            throw refuse(
                "tensor-limit", "has more than \(Safetensors.Limit.tensors) tensors",
                remedy: "split the model into several files")
        }
        guard try scanner.kind() == .object else {
            throw refuse("entry", "describes tensor \(Self.quoted(name)) by something that is no object")
        }
        var entry = Entry()
        try scanner.object { member, scanner in
            switch member {
            case "dtype" where entry.type != nil, "shape" where entry.shape != nil,
                "data_offsets" where entry.offsets != nil:
                throw refuse("duplicate-member", "gives tensor \(Self.quoted(name)) two members '\(member)'")
            case "dtype": entry.type = try scanner.text(limit: 64)
            case "shape": entry.shape = try numbers(member, of: name, &scanner)
            case "data_offsets": entry.offsets = try numbers(member, of: name, &scanner)
            default: try scanner.skip()
            }
        }
        let tensor = try tensor(name, entry)
        try keep(name.utf8.count + 128 + 8 * tensor.shape.count)
        tensors.append(tensor)
    }

    private func numbers(_ member: String, of name: String, _ scanner: inout JSONScanner) throws -> [UInt64] {
        guard try scanner.kind() == .array else {
            throw refuse("no-array", "has a \(member) of tensor \(Self.quoted(name)) that is no array")
        }
        var numbers: [UInt64] = []
        try scanner.array { scanner in
            guard let number = try scanner.unsigned() else {
                throw refuse(
                    "number", "has something in the \(member) of tensor \(Self.quoted(name)) that is no whole number")
            }
            guard numbers.count < 1024 else {
                throw refuse("rank", "has more than 1024 numbers in the \(member) of tensor \(Self.quoted(name))")
            }
            numbers.append(number)
        }
        return numbers
    }

    private func tensor(_ name: String, _ entry: Entry) throws -> Safetensors.Tensor {
        func missing(_ member: String) -> KapsuleError {
            refuse("missing-member", "says no \(member) of tensor \(Self.quoted(name))")
        }
        guard let typeName = entry.type else { throw missing("dtype") }
        guard let shape = entry.shape else { throw missing("shape") }
        guard let offsets = entry.offsets else { throw missing("data_offsets") }
        guard let type = Safetensors.DataType(rawValue: typeName) else {
            throw refuse(
                "dtype", "has tensor \(Self.quoted(name)) in the unknown type '\(Printable.text(typeName))'",
                remedy: "the file is damaged, or made by a newer program than this one knows")
        }
        guard offsets.count == 2 else {
            throw refuse("offsets", "has \(offsets.count) data_offsets for tensor \(Self.quoted(name)) instead of 2")
        }
        let range = try place(offsets, name)
        let (elements, size) = try extent(shape, type, name)
        guard Int64(range.count) == size else {
            throw refuse(
                "tensor-size",
                "has \(range.count) bytes for tensor \(Self.quoted(name)), and \(shape) of \(typeName) take \(size)")
        }
        return Safetensors.Tensor(
            name: name, type: type, shape: shape.map { Int64(clamping: $0) }, elements: elements, range: range)
    }

    private func place(_ offsets: [UInt64], _ name: String) throws -> Range<Int64> {
        guard let begin = Int64(exactly: offsets[0]), let end = Int64(exactly: offsets[1]) else {
            throw refuse("offset", "puts tensor \(Self.quoted(name)) at bytes \(offsets[0]) to \(offsets[1])")
        }
        guard begin <= end else {
            throw refuse("reversed", "has tensor \(Self.quoted(name)) end at byte \(end), before it begins at \(begin)")
        }
        return begin..<end
    }

    private func extent(
        _ shape: [UInt64], _ type: Safetensors.DataType, _ name: String
    ) throws -> (elements: Int64, size: Int64) {
        func impossible() -> KapsuleError {
            refuse("shape", "gives tensor \(Self.quoted(name)) the impossible shape \(shape)")
        }
        var elements: Int64 = 1
        for length in shape {
            guard let length = Int64(exactly: length) else { throw impossible() }
            let (product, overflow) = elements.multipliedReportingOverflow(by: length)
            guard !overflow else { throw impossible() }
            elements = product
        }
        let (bits, overflow) = elements.multipliedReportingOverflow(by: type.bits)
        guard !overflow else { throw impossible() }
        guard bits % 8 == 0 else {
            throw refuse(
                "part-of-byte",
                "has \(elements) elements of \(type.rawValue) in tensor \(Self.quoted(name)), "
                    + "which end within a byte")
        }
        return (elements, bits / 8)
    }

    // MARK: All tensors

    private func checkNames() throws {
        var names: Set<String> = []
        names.reserveCapacity(tensors.count)
        for tensor in tensors where !names.insert(tensor.name).inserted {
            throw refuse("duplicate-tensor", "has the tensor \(Self.quoted(tensor.name)) twice")
        }
    }

    /// Every byte of the data is in one tensor.
    private func checkPlaces(dataSize: Int64) throws {
        var end: Int64 = 0
        var previous = "the beginning of the data"
        for tensor in tensors {
            let name = Self.quoted(tensor.name)
            guard tensor.range.lowerBound >= end else {
                throw refuse("overlap", "has tensors that overlap: \(previous) and \(name)")
            }
            guard tensor.range.lowerBound == end else {
                throw refuse(
                    "hole", "has \(tensor.range.lowerBound - end) bytes of no tensor between \(previous) and \(name)")
            }
            end = tensor.range.upperBound
            previous = name
        }
        guard end <= dataSize else {
            throw refuse(
                "truncated-data",
                "ends at byte \(source.size), and its header promises tensor \(previous) up to byte "
                    + "\((source.size - dataSize).addingReportingOverflow(end).partialValue)",
                remedy: "the file was cut short: fetch it again")
        }
        guard end == dataSize else {
            throw refuse("trailing", "has \(dataSize - end) bytes behind \(previous) that belong to no tensor")
        }
    }

    /// Source: transformers `modeling_utils.py`, load_state_dict.
    private mutating func remarkOnFormat() {
        guard let metadata else { return }
        if !["pt", "tf", "flax", "mlx"].contains(metadata["format"]) {
            remarks.append("its __metadata__ has no format of pt, tf, flax or mlx: transformers refuses it")
        }
    }
}
