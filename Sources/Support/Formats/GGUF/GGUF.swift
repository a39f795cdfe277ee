/// What a GGUF file says of itself: everything before its tensors' data, which is never read.
///
///     magic, version | counts | keys and values | tensor infos | padding | data
///
/// Versions 2 and 3, either byte order. Long arrays such as vocabularies are counted and passed by, unless they are asked for.
///
/// Source: ggml `docs/gguf.md`.
public struct GGUF: Sendable {
    /// 2 or 3.
    public let version: UInt32
    public let isBigEndian: Bool
    /// In the order of the file.
    public let metadata: [Entry]
    /// In the order of the file.
    public let tensors: [Tensor]
    /// Offsets of tensors are multiples of it, in bytes. A power of two.
    public let alignment: Int64
    /// Where the data begins, in bytes from the start of the file.
    public let dataOffset: Int64
    /// Of the file, in bytes.
    public let fileSize: Int64
    /// What is allowed, but not as the reference writes it: for people.
    public let remarks: [String]

    private let places: [String: Int]

    init(
        version: UInt32, isBigEndian: Bool, metadata: [Entry], tensors: [Tensor], alignment: Int64, dataOffset: Int64,
        fileSize: Int64, remarks: [String], places: [String: Int]
    ) {
        self.version = version
        self.isBigEndian = isBigEndian
        self.metadata = metadata
        self.tensors = tensors
        self.alignment = alignment
        self.dataOffset = dataOffset
        self.fileSize = fileSize
        self.remarks = remarks
        self.places = places
    }

    /// The value of a key; nil when the file has none such.
    public subscript(_ key: String) -> Value? { places[key].map { metadata[$0].value } }

    public struct Entry: Sendable, Hashable {
        public let key: String
        public let value: Value
        /// Where it is in the file, the key included, in bytes.
        public let range: Range<Int64>
    }

    /// Source: ggml `gguf.h`, enum gguf_type.
    public enum ValueType: UInt32, Sendable {
        case uint8 = 0, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

        /// Bytes in the file; nil where that depends on the value.
        var size: Int64? {
            switch self {
            case .uint8, .int8, .bool: 1
            case .uint16, .int16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64: 8
            case .string, .array: nil
            }
        }
    }

    public enum Value: Sendable, Hashable {
        case uint8(UInt8), int8(Int8), uint16(UInt16), int16(Int16), uint32(UInt32), int32(Int32), float32(Float)
        case bool(Bool), string(String), array(List), uint64(UInt64), int64(Int64), float64(Double)

        /// A whole number of any width; nil for anything else, and for what does not fit.
        public var integer: Int64? {
            switch self {
            case .uint8(let value): Int64(value)
            case .int8(let value): Int64(value)
            case .uint16(let value): Int64(value)
            case .int16(let value): Int64(value)
            case .uint32(let value): Int64(value)
            case .int32(let value): Int64(value)
            case .uint64(let value): Int64(exactly: value)
            case .int64(let value): value
            case .float32, .float64, .bool, .string, .array: nil
            }
        }

        /// Text; nil for anything else.
        public var text: String? {
            if case .string(let text) = self { text } else { nil }
        }

        public var isTrue: Bool { self == .bool(true) }

        public var type: ValueType {
            switch self {
            case .uint8: .uint8
            case .int8: .int8
            case .uint16: .uint16
            case .int16: .int16
            case .uint32: .uint32
            case .int32: .int32
            case .float32: .float32
            case .bool: .bool
            case .string: .string
            case .array: .array
            case .uint64: .uint64
            case .int64: .int64
            case .float64: .float64
            }
        }
    }

    /// An array: what is in it only where it was asked for.
    public struct List: Sendable, Hashable {
        public let type: ValueType
        public let count: Int64
        public let elements: [Value]?
    }

    public struct Tensor: Sendable, Hashable {
        public let name: String
        public let type: TensorType
        /// Where its data begins, in bytes from the start of the data.
        public let offset: Int64
        /// Product of the dimensions; 1 without any.
        public let elements: Int64
        /// Of its data, in bytes.
        public let size: Int64
        private let lengths: SIMD4<Int64>
        private let rank: UInt8

        init(name: String, type: TensorType, dimensions: [Int64], offset: Int64, elements: Int64, size: Int64) {
            self.name = name
            self.type = type
            self.offset = offset
            self.elements = elements
            self.size = size
            var lengths = SIMD4<Int64>(repeating: 1)
            for (index, length) in dimensions.enumerated() { lengths[index] = length }
            self.lengths = lengths
            rank = UInt8(dimensions.count)
        }

        /// At most four; the one that varies fastest first, the reverse of PyTorch's shape.
        public var dimensions: [Int64] { (0..<Int(rank)).map { lengths[$0] } }
    }
}
