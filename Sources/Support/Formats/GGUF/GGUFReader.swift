public import KapsuleCore

extension GGUF {
    /// What no real model comes near, and a hostile file must not exceed.
    public enum Limit {
        /// Keys of one file.
        public static let keys: UInt64 = 1 << 16
        /// Tensors of one file. Models whose experts are tensors of their own have some 70,000.
        public static let tensors: UInt64 = 1 << 17
        /// One text, in bytes, as Ollama has it.
        public static let text: UInt64 = 16 << 20
        /// Elements of one array, as Ollama has it.
        public static let elements: UInt64 = 64 << 20
        /// Everything that is kept in memory, about, in bytes.
        public static let kept = 32 << 20
        /// Everything before the data, in bytes.
        public static let header: Int64 = 256 << 20
    }

    /// Whether a file that begins so says that it is one, in whatever version and byte order.
    public static func isLikely(_ head: some Sequence<UInt8>) -> Bool { head.starts(with: "GGUF".utf8) }

    /// Reads and checks everything before the data. Bytes of tensors are not read.
    ///
    /// - Parameters:
    ///   - what: names the file in errors.
    ///   - arrays: keys of arrays whose elements are wanted; those of others are passed by.
    /// - Throws: `.unverified` for what ggml would not load, and where the file would cost more memory than a header may.
    public init(reading source: any ByteSource, what: String, keeping arrays: Set<String> = []) throws {
        var reader = GGUFReader(source, what: what, keeping: arrays)
        self = try reader.read()
    }
}

/// One reading of one file.
private struct GGUFReader {
    private var cursor: SourceCursor
    private let source: any ByteSource
    private let wanted: Set<String>
    private var kept = 0
    private var remarks: [String] = []

    init(_ source: any ByteSource, what: String, keeping arrays: Set<String>) {
        cursor = SourceCursor(source, what: what, format: "gguf", limit: GGUF.Limit.header)
        self.source = source
        wanted = arrays
    }

    mutating func read() throws -> GGUF {
        let version = try self.version()
        let tensorCount = try count("tensors", most: GGUF.Limit.tensors, smallest: 24)
        let keyCount = try count("keys", most: GGUF.Limit.keys, smallest: 12)
        var places: [String: Int] = [:]
        let metadata = try (0..<keyCount).map { try entry($0, &places) }
        let alignment = try self.alignment(places["general.alignment"].map { metadata[$0].value })
        let tensors = try self.tensors(tensorCount)
        let (start, overflow) = cursor.position.addingReportingOverflow(alignment - 1)
        guard !overflow else { throw cursor.refusal("alignment", "has an alignment of \(alignment) bytes") }
        let dataOffset = start & ~(alignment - 1)
        try check(tensors, from: dataOffset, alignment)
        return GGUF(
            version: version, isBigEndian: cursor.isBigEndian, metadata: metadata, tensors: tensors,
            alignment: alignment, dataOffset: dataOffset, fileSize: source.size, remarks: remarks, places: places)
    }

    // MARK: The beginning

    /// Reads magic and version; learns the byte order.
    private mutating func version() throws -> UInt32 {
        let magic = Array(try cursor.bytes(4, "its magic"))
        guard GGUF.isLikely(magic) else { throw notGGUF(magic) }
        // As ggml tells: no version has its low half zero, unless it is read the wrong way round.
        var version: UInt32 = try cursor.number("its version")
        if version & 0xFFFF == 0, version != 0 {
            cursor.isBigEndian = true
            version = version.byteSwapped
        }
        switch version {
        case 2, 3: return version
        case 1:
            throw cursor.refusal(
                "version-1", "is a GGUF file of version 1, which no current program reads",
                remedy: "convert the model again with a current llama.cpp")
        default:
            throw cursor.refusal(
                "version", "is a GGUF file of version \(version); versions 2 and 3 are known",
                remedy: "the file is damaged, or made by a newer program than this one knows")
        }
    }

    private func notGGUF(_ magic: [UInt8]) -> KapsuleError {
        let old = ["lmgg": "GGML", "fmgg": "GGMF", "tjgg": "GGJT", "algg": "GGLA"]
        let name = String(decoding: magic, as: UTF8.self)
        if let old = old[name] {
            return cursor.refusal(
                "obsolete", "is a \(old) file, the obsolete form before GGUF",
                remedy: "convert the model again with a current llama.cpp")
        }
        if name == "FUGG" {
            return cursor.refusal(
                "swapped-magic",
                "begins with 'FUGG': a GGUF file whose magic is byte-swapped, which ggml does not read",
                remedy: "write the file again with the gguf package: only numbers change with the byte order")
        }
        return cursor.refusal(
            "magic", "is no GGUF file: it begins with \(Hex.encode(magic)), not with 'GGUF'",
            remedy: "check what was downloaded under that name")
    }

    /// - Parameter smallest: bytes that one of them takes at least.
    private mutating func count(_ name: String, most: UInt64, smallest: UInt64) throws -> Int {
        let count: UInt64 = try cursor.number("the number of \(name)")
        guard count <= UInt64(cursor.left) / smallest else {
            throw cursor.refusal(
                "count", "claims \(count) \(name), more than its \(source.size) bytes can hold",
                remedy: "the file is damaged or cut short: fetch it again")
        }
        guard count <= most else {
            throw cursor.refusal("count-limit", "has \(count) \(name); no model needs more than \(most)")
        }
        return Int(count)
    }

    // MARK: Keys and values

    private mutating func entry(_ index: Int, _ places: inout [String: Int]) throws -> GGUF.Entry {
        let start = cursor.position
        let key = try name("the key \(index + 1)", limit: 65535)
        guard !key.isEmpty else { throw cursor.refusal("empty-key", "has an empty key, number \(index + 1)") }
        guard places.updateValue(index, forKey: key) == nil else {
            throw cursor.refusal("duplicate-key", "has the key '\(Printable.text(key))' twice")
        }
        let type = try valueType("the value of \(Self.quoted(key))")
        let value = type == .array ? .array(try list(key)) : try value(type, of: key)
        return GGUF.Entry(key: key, value: value, range: start..<cursor.position)
    }

    private mutating func valueType(_ part: @autoclosure () -> String) throws -> GGUF.ValueType {
        let number: UInt32 = try cursor.number("the type of \(part())")
        guard let type = GGUF.ValueType(rawValue: number) else {
            throw cursor.refusal(
                "value-type", "gives \(part()) the type \(number), which does not exist",
                remedy: "the file is damaged: fetch it again")
        }
        return type
    }

    private mutating func value(_ type: GGUF.ValueType, of key: String) throws -> GGUF.Value {
        func part() -> String { "the value of \(Self.quoted(key))" }
        switch type {
        case .uint8: return .uint8(try cursor.number(part()))
        case .int8: return .int8(try cursor.number(part()))
        case .uint16: return .uint16(try cursor.number(part()))
        case .int16: return .int16(try cursor.number(part()))
        case .uint32: return .uint32(try cursor.number(part()))
        case .int32: return .int32(try cursor.number(part()))
        case .uint64: return .uint64(try cursor.number(part()))
        case .int64: return .int64(try cursor.number(part()))
        case .float32: return .float32(Float(bitPattern: try cursor.number(part())))
        case .float64: return .float64(Double(bitPattern: try cursor.number(part())))
        case .bool:
            let byte: UInt8 = try cursor.number(part())
            if byte > 1 { remark("\(Self.quoted(key)) is a truth value of \(byte), neither 0 nor 1") }
            return .bool(byte != 0)
        case .string: return .string(try text(part()))
        case .array: throw nested(key)
        }
    }

    private func nested(_ key: String) -> KapsuleError {
        cursor.refusal("nested-array", "has an array of arrays in \(Self.quoted(key)), which no program reads")
    }

    private mutating func list(_ key: String) throws -> GGUF.List {
        func part() -> String { "the array \(Self.quoted(key))" }
        let type = try valueType("the elements of \(Self.quoted(key))")
        let count: UInt64 = try cursor.number("the length of \(part())")
        guard type != .array else { throw nested(key) }
        guard count <= UInt64(cursor.left) / UInt64(type.size ?? 8) else {
            throw cursor.refusal(
                "array-length", "claims \(count) elements for \(part()), more than the rest of the file can hold",
                remedy: "the file is damaged or cut short: fetch it again")
        }
        guard count <= GGUF.Limit.elements else {
            throw cursor.refusal(
                "array-limit", "has \(count) elements in \(part()); at most \(GGUF.Limit.elements) are read")
        }
        if wanted.contains(key) {
            let elements = try (0..<count).map { _ in
                try keep(MemoryLayout<GGUF.Value>.stride)
                return try value(type, of: key)
            }
            return GGUF.List(type: type, count: Int64(count), elements: elements)
        }
        if let size = type.size {
            try cursor.skip(size * Int64(count), part())
        } else {
            for _ in 0..<count { try cursor.skip(Int64(try textLength(part())), part()) }
        }
        return GGUF.List(type: type, count: Int64(count), elements: nil)
    }

    // MARK: Text

    private mutating func textLength(_ part: @autoclosure () -> String) throws -> Int {
        let length: UInt64 = try cursor.number("the length of \(part())")
        guard length <= UInt64(cursor.left) else {
            throw cursor.refusal(
                "text-length", "claims a text of \(length) bytes in \(part()), more than the rest of the file",
                remedy: "the file is damaged or cut short: fetch it again")
        }
        guard length <= GGUF.Limit.text else {
            throw cursor.refusal(
                "text-limit", "has a text of \(length) bytes in \(part()); at most \(GGUF.Limit.text) are read")
        }
        return Int(length)
    }

    /// Bytes that are no UTF-8 become U+FFFD: vocabularies hold pieces of characters.
    private mutating func text(_ part: @autoclosure () -> String) throws -> String {
        let length = try textLength(part())
        try keep(length)
        return String(decoding: try cursor.bytes(length, part()), as: UTF8.self)
    }

    /// A key or the name of a tensor.
    private mutating func name(_ part: @autoclosure () -> String, limit: Int) throws -> String {
        let length = try textLength(part())
        guard length <= limit else {
            throw cursor.refusal("name-length", "has a name of \(length) bytes in \(part()); at most \(limit) are read")
        }
        try keep(length + 64)
        guard let name = String(validating: try cursor.bytes(length, part()), as: UTF8.self) else {
            throw cursor.refusal(
                "name-encoding", "has a name that is no UTF-8 in \(part())",
                remedy: "the file is damaged: fetch it again")
        }
        return name
    }

    private mutating func keep(_ size: Int) throws {
        kept += size
        guard kept <= GGUF.Limit.kept else {
            throw cursor.refusal(
                "metadata-limit", "has more than \(ByteCount.text(Int64(GGUF.Limit.kept))) of names and texts")
        }
    }

    private mutating func remark(_ text: String) {
        // One of a kind tells enough, and a hostile file could have thousands.
        if remarks.count < 8 { remarks.append(text) }
    }

    private static func quoted(_ name: String) -> String { "'\(Printable.text(name.prefix(100)))'" }

    // MARK: Alignment

    private func alignment(_ value: GGUF.Value?) throws -> Int64 {
        guard let value else { return 32 }
        guard case .uint32(let alignment) = value else {
            throw cursor.refusal(
                "alignment-type", "has a general.alignment of type \(value.type) instead of uint32",
                remedy: "the program that wrote the file is at fault: no runtime reads it")
        }
        guard alignment.nonzeroBitCount == 1 else {
            throw cursor.refusal("alignment", "has an alignment of \(alignment) bytes, which is no power of two")
        }
        return Int64(alignment)
    }

    // MARK: Tensors

    private mutating func tensors(_ count: Int) throws -> [GGUF.Tensor] {
        var names: Set<String> = []
        var tensors: [GGUF.Tensor] = []
        tensors.reserveCapacity(count)
        for index in 0..<count {
            let tensor = try self.tensor(index + 1)
            guard names.insert(tensor.name).inserted else {
                throw cursor.refusal("duplicate-tensor", "has the tensor \(Self.quoted(tensor.name)) twice")
            }
            tensors.append(tensor)
        }
        return tensors
    }

    private mutating func tensor(_ number: Int) throws -> GGUF.Tensor {
        let name = try name("the name of tensor \(number)", limit: 4096)
        func part() -> String { "tensor \(Self.quoted(name))" }
        if name.utf8.count >= 64 {
            remark("\(part()) has a name of \(name.utf8.count) bytes; llama.cpp reads at most 63")
        }
        let rank: UInt32 = try cursor.number("the rank of \(part())")
        guard rank <= 4 else {
            throw cursor.refusal(
                "rank", "gives \(part()) \(rank) dimensions; there are at most 4",
                remedy: "the file is damaged: fetch it again")
        }
        let lengths: [UInt64] = try (0..<rank).map { _ in try cursor.number("the dimensions of \(part())") }
        let typeNumber: UInt32 = try cursor.number("the type of \(part())")
        let offset: UInt64 = try cursor.number("the offset of \(part())")
        guard let type = GGUF.TensorType(typeNumber) else { throw unknownType(typeNumber, part()) }
        let (elements, size) = try extent(lengths, type, part())
        // Within what can be added up; whether the file is as long is seen when all are known.
        guard offset < 1 << 62, let place = Int64(exactly: offset) else {
            throw cursor.refusal(
                "offset", "puts \(part()) at byte \(offset) of its data, and has only \(source.size) bytes",
                remedy: "the file is damaged or cut short: fetch it again")
        }
        return GGUF.Tensor(
            name: name, type: type, dimensions: lengths.map { Int64(clamping: $0) }, offset: place,
            elements: elements, size: size)
    }

    private func unknownType(_ number: UInt32, _ part: String) -> KapsuleError {
        if GGUF.TensorType.isRemoved(number) {
            return cursor.refusal(
                "removed-type", "has \(part) in the tensor type \(number), which was removed from ggml",
                remedy: "convert the model again with a current llama.cpp")
        }
        return cursor.refusal(
            "tensor-type", "has \(part) in the unknown tensor type \(number)",
            remedy: "the file is damaged, or made by a newer program than this one knows")
    }

    /// Elements and bytes of a tensor.
    private func extent(
        _ lengths: [UInt64], _ type: GGUF.TensorType, _ part: @autoclosure () -> String
    ) throws -> (elements: Int64, size: Int64) {
        var elements: UInt64 = 1
        for length in lengths {
            let (product, overflow) = elements.multipliedReportingOverflow(by: length)
            guard !overflow, length <= UInt64(Int64.max), product <= UInt64(Int64.max) else {
                throw cursor.refusal(
                    "dimensions", "gives \(part()) impossible dimensions: \(lengths)",
                    remedy: "the file is damaged: fetch it again")
            }
            elements = product
        }
        guard (lengths.first ?? 1) % type.elements == 0 else {
            throw cursor.refusal(
                "row-length",
                "has rows of \(lengths.first ?? 1) elements in \(part()); \(type.name) has blocks of \(type.elements)",
                remedy: "the file is damaged, or its quantisation went wrong")
        }
        let (size, overflow) = (elements / type.elements).multipliedReportingOverflow(by: type.bytes)
        guard !overflow, let size = Int64(exactly: size), size <= source.size else {
            throw cursor.refusal(
                "tensor-size",
                "has \(source.size) bytes, too few for \(part()) of \(elements) elements of \(type.name)",
                remedy: "the file is damaged or cut short: fetch it again")
        }
        return (Int64(elements), size)
    }

    /// Looks where tensors lie: within the file, apart from each other, and as ggml wants them.
    private mutating func check(_ tensors: [GGUF.Tensor], from start: Int64, _ alignment: Int64) throws {
        let places = tensors.indices.filter { tensors[$0].size > 0 }.sorted {
            (tensors[$0].offset, $0) < (tensors[$1].offset, $1)
        }
        var end: Int64 = 0
        var previous: Int?
        var isConsecutive = true
        for place in places {
            let tensor = tensors[place]
            if let previous, tensor.offset < end {
                throw cursor.refusal(
                    "overlap",
                    "has tensors that overlap: \(Self.quoted(tensors[previous].name)) and \(Self.quoted(tensor.name))",
                    remedy: "the file is damaged: fetch it again")
            }
            isConsecutive = isConsecutive && tensor.offset == (end + alignment - 1) & ~(alignment - 1)
            end = tensor.offset + tensor.size
            previous = place
        }
        guard places.isEmpty || (start <= source.size && end <= source.size - start) else {
            let name = previous.map { Self.quoted(tensors[$0].name) } ?? ""
            throw cursor.refusal(
                "truncated-data",
                "ends at byte \(source.size), and its header promises tensor \(name) up to byte \(start.addingReportingOverflow(end).partialValue)",
                remedy: "the file was cut short: fetch it again")
        }
        if !isConsecutive { remark("its tensors do not follow each other without gaps, which llama.cpp refuses") }
    }
}
