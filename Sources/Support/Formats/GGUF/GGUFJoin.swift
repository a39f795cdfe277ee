internal import KapsuleCore

/// The parts of a model in several GGUF files as one file: a header for all tensors, and behind it the data of each part.
///
/// The bytes are those of llama.cpp's `gguf-split --merge`: keys of the first part in their order, `split.count` as 0 behind them,
/// and every tensor padded to the alignment.
///
/// Source: llama.cpp `tools/gguf-split/gguf-split.cpp`; compared with what it writes.
public struct GGUFJoin: Sendable {
    /// A piece of the header.
    public enum Piece: Sendable, Hashable {
        case bytes([UInt8])
        /// Bytes of the first part.
        case first(Range<Int64>)
        case zeros(Int64)
    }

    public let header: [Piece]
    /// The data of each part, and the zeros behind it.
    public let data: [(range: Range<Int64>, padding: Int64)]

    /// - Parameter parts: headers in the order of their numbers.
    /// - Throws: `.unverified` for parts that are not those of one model. `what` names it in errors.
    public init(_ parts: [GGUF], what: String) throws {
        func refuse(_ id: String, _ why: String) -> KapsuleError {
            KapsuleError(
                .unverified, id: "gguf.join-\(id)", "the parts of \(what) \(why)",
                remedy: "fetch all of them again, from one place")
        }
        guard let first = parts.first,
            parts.enumerated().allSatisfy({ $1.split?.number == Int64($0) && $1.split?.count == Int64(parts.count) })
        else { throw refuse("numbers", "are not numbered as those of one model are") }
        guard parts.allSatisfy({ $0.isBigEndian == first.isBigEndian && $0.alignment == first.alignment }) else {
            throw refuse("form", "differ in byte order or alignment")
        }
        let tensors = parts.flatMap(\.tensors)
        guard Set(tensors.map(\.name)).count == tensors.count else {
            throw refuse("tensors", "have a tensor more than once")
        }
        guard parts.allSatisfy(\.isConsecutive) else { throw refuse("gaps", "have gaps between their tensors") }
        if let promised = first["split.tensors.count"]?.integer, promised != Int64(tensors.count) {
            throw refuse("count", "have \(tensors.count) tensors together, and should have \(promised)")
        }
        let written = GGUFNumbers(isBigEndian: first.isBigEndian)
        let kept = first.metadata.filter { $0.key != "split.count" }
        var head = Array("GGUF".utf8) + written.bytes(UInt32(3)) + written.bytes(UInt64(tensors.count))
        head += written.bytes(UInt64(kept.count + 1))
        let keys = Self.joined(kept.map(\.range)).map(Piece.first)
        var tail =
            written.text("split.count") + written.bytes(GGUF.ValueType.uint16.rawValue) + written.bytes(UInt16(0))
        var offset: Int64 = 0
        for tensor in tensors {
            tail += written.info(of: tensor, at: offset)
            offset += Self.padded(tensor.size, first.alignment)
        }
        let length = Int64(head.count + tail.count) + kept.reduce(0) { $0 + Int64($1.range.count) }
        let padding = Self.padded(length, first.alignment) - length
        header = [.bytes(head)] + keys + [.bytes(tail), .zeros(padding)]
        data = parts.map { part in
            // Without tensors the data may begin behind the end of the file.
            guard let last = part.tensors.last else { return (0..<0, 0) }
            let end = last.offset + last.size
            return (part.dataOffset..<part.dataOffset + end, Self.padded(end, first.alignment) - end)
        }
    }

    /// Ranges that follow each other without a gap, as one.
    private static func joined(_ ranges: [Range<Int64>]) -> [Range<Int64>] {
        ranges.reduce(into: []) { all, range in
            if let last = all.last, last.upperBound == range.lowerBound {
                all[all.count - 1] = last.lowerBound..<range.upperBound
            } else {
                all.append(range)
            }
        }
    }

    fileprivate static func padded(_ size: Int64, _ alignment: Int64) -> Int64 {
        (size + alignment - 1) & ~(alignment - 1)
    }
}

extension GGUF {
    /// Whether the tensors follow each other as the header lists them, each at the next place that is aligned.
    fileprivate var isConsecutive: Bool {
        var next: Int64 = 0
        for tensor in tensors {
            guard tensor.offset == next else { return false }
            next = GGUFJoin.padded(tensor.offset + tensor.size, alignment)
        }
        return true
    }
}

/// Numbers and texts in the byte order of a file.
private struct GGUFNumbers {
    let isBigEndian: Bool

    func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        let count = value.bitWidth / 8
        return (0..<count).map { index in
            UInt8(truncatingIfNeeded: value >> (8 * (isBigEndian ? count - 1 - index : index)))
        }
    }

    func text(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

    func info(of tensor: GGUF.Tensor, at offset: Int64) -> [UInt8] {
        let lengths = tensor.dimensions
        return text(tensor.name) + bytes(UInt32(lengths.count)) + lengths.flatMap { bytes(UInt64($0)) }
            + bytes(tensor.type.number) + bytes(UInt64(offset))
    }
}
