/// Bytes of a GGUF file, put together by hand: whole ones, and ones that lie.
public struct GGUFBytes: Sendable {
    public var magic = Array("GGUF".utf8)
    public var version: UInt32 = 3
    /// What the header claims, where it is not the truth.
    public var claimedTensors: UInt64?
    public var claimedKeys: UInt64?
    public var isBigEndian = false
    public var keys: [[UInt8]] = []
    public var tensors: [[UInt8]] = []
    /// Bytes behind the header and its padding.
    public var data: [UInt8] = []
    /// The padding before the data, as the header promises it.
    public var alignment = 32

    public init(isBigEndian: Bool = false) { self.isBigEndian = isBigEndian }

    /// A llama of two tensors.
    public static func sample(isBigEndian: Bool = false) -> GGUFBytes {
        var file = GGUFBytes(isBigEndian: isBigEndian)
        file.add("general.architecture", "llama")
        file.add("general.name", "tiny")
        file.add("general.file_type", UInt32(1))
        file.add("llama.context_length", UInt32(2048))
        file.add("llama.embedding_length", UInt32(32))
        file.add("llama.block_count", UInt32(1))
        file.add("tokenizer.ggml.tokens", array: ["<s>", "</s>", "a"])
        file.add("tokenizer.ggml.bos_token_id", UInt32(0))
        file.add("tokenizer.ggml.eos_token_id", UInt32(1))
        file.add("tokenizer.chat_template", "{{ messages }}")
        file.addTensor("token_embd.weight", [32, 4], type: 0, offset: 0)
        file.addTensor("output.weight", [32, 2], type: 8, offset: 512)
        file.data = [UInt8](repeating: 7, count: 512 + 68)
        return file
    }

    // MARK: Pieces

    public func number(_ value: some FixedWidthInteger) -> [UInt8] {
        let bytes = (0..<(value.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        return isBigEndian ? bytes.reversed() : bytes
    }

    public func text(_ text: String) -> [UInt8] { number(UInt64(text.utf8.count)) + Array(text.utf8) }

    // MARK: Keys

    /// - Parameter type: the number of the value's type.
    public mutating func add(_ key: String, type: UInt32, _ value: [UInt8]) {
        keys.append(text(key) + number(type) + value)
    }

    public mutating func add(_ key: String, _ value: UInt32) { add(key, type: 4, number(value)) }
    public mutating func add(_ key: String, _ value: String) { add(key, type: 8, text(value)) }

    public mutating func add(_ key: String, array: [String]) {
        add(key, type: 9, number(UInt32(8)) + number(UInt64(array.count)) + array.flatMap { text($0) })
    }

    // MARK: Tensors

    public mutating func addTensor(_ name: String, _ dimensions: [UInt64], type: UInt32, offset: UInt64) {
        tensors.append(tensor(text(name), UInt32(dimensions.count), dimensions, type, offset))
    }

    public func tensor(
        _ name: [UInt8], _ rank: UInt32, _ dimensions: [UInt64], _ type: UInt32, _ offset: UInt64
    ) -> [UInt8] {
        name + number(rank) + dimensions.flatMap { number($0) } + number(type) + number(offset)
    }

    // MARK: All of it

    public var header: [UInt8] {
        magic + number(version) + number(claimedTensors ?? UInt64(tensors.count))
            + number(claimedKeys ?? UInt64(keys.count)) + keys.flatMap(\.self) + tensors.flatMap(\.self)
    }

    public var bytes: [UInt8] {
        let header = header
        let padding = (alignment - header.count % alignment) % alignment
        return header + [UInt8](repeating: 0, count: padding) + data
    }
}
