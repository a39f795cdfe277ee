/// What a safetensors file says of itself: its header, without its data.
///
///     length of the header (8 bytes) | header (JSON) | data
///
/// Source: the safetensors format, https://github.com/huggingface/safetensors; the checks are those of its reader, version 0.8.
public struct Safetensors: Sendable {
    /// Of the JSON, in bytes.
    public let headerSize: Int64
    /// `__metadata__`, ascending by name.
    public let metadata: [(name: String, value: String)]
    /// Ascending by where their data is.
    public let tensors: [Tensor]
    /// Of the file, in bytes.
    public let fileSize: Int64
    /// What is allowed, but not as the reference writes it: for people.
    public let remarks: [String]

    /// Where the data begins, in bytes from the start of the file.
    public var dataOffset: Int64 { 8 + headerSize }

    public struct Tensor: Sendable, Hashable {
        public let name: String
        public let type: DataType
        /// The slowest dimension first, as PyTorch has it; empty for a single number.
        public let shape: [Int64]
        public let elements: Int64
        /// In bytes from the start of the data.
        public let range: Range<Int64>
    }

    public enum DataType: String, Sendable, CaseIterable {
        case bool = "BOOL"
        case f4 = "F4", f6E2M3 = "F6_E2M3", f6E3M2 = "F6_E3M2"
        case u8 = "U8", i8 = "I8"
        case f8E5M2 = "F8_E5M2", f8E4M3 = "F8_E4M3", f8E8M0 = "F8_E8M0", f8E4M3FNUZ = "F8_E4M3FNUZ"
        case f8E5M2FNUZ = "F8_E5M2FNUZ"
        case i16 = "I16", u16 = "U16", f16 = "F16", bf16 = "BF16"
        case i32 = "I32", u32 = "U32", f32 = "F32"
        case c64 = "C64", f64 = "F64", i64 = "I64", u64 = "U64"

        /// Of one number.
        public var bits: Int64 {
            switch self {
            case .f4: 4
            case .f6E2M3, .f6E3M2: 6
            case .bool, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ: 8
            case .i16, .u16, .f16, .bf16: 16
            case .i32, .u32, .f32: 32
            case .c64, .f64, .i64, .u64: 64
            }
        }

        /// As PyTorch calls it: `bfloat16`.
        public var torchName: String {
            switch self {
            case .bool: "bool"
            case .f4: "float4_e2m1"
            case .f6E2M3: "float6_e2m3"
            case .f6E3M2: "float6_e3m2"
            case .u8: "uint8"
            case .i8: "int8"
            case .f8E5M2, .f8E5M2FNUZ: "float8_e5m2"
            case .f8E4M3, .f8E4M3FNUZ: "float8_e4m3"
            case .f8E8M0: "float8_e8m0"
            case .i16: "int16"
            case .u16: "uint16"
            case .f16: "float16"
            case .bf16: "bfloat16"
            case .i32: "int32"
            case .u32: "uint32"
            case .f32: "float32"
            case .c64: "complex64"
            case .f64: "float64"
            case .i64: "int64"
            case .u64: "uint64"
            }
        }
    }

    /// Numbers in all tensors. Of weights that are packed several to a number this is too few.
    public var parameterCount: Int64 {
        tensors.reduce(0) { sum, tensor in
            let (sum, overflow) = sum.addingReportingOverflow(tensor.elements)
            return overflow ? .max : sum
        }
    }
}
