import Formats
import Foundation
import KapsuleCore
import TestSupport
import Testing

@Suite struct GGUFJoinTests {
    /// Parts of one model: `tensors` tensors of 40 bytes each, and the keys that llama.cpp gives to parts.
    private static func parts(
        _ tensors: [Int], isBigEndian: Bool = false, change: (Int, inout GGUFBytes) -> Void = { _, _ in }
    ) -> [[UInt8]] {
        tensors.enumerated().map { number, count in
            var file = GGUFBytes(isBigEndian: isBigEndian)
            if number == 0 { file.add("general.architecture", "llama") }
            file.add("split.count", type: 2, file.number(UInt16(tensors.count)))
            if number == 0 { file.add("general.name", "tiny") }
            file.add("split.no", type: 2, file.number(UInt16(number)))
            for tensor in 0..<count {
                file.addTensor("t\(number).\(tensor)", [10], type: 0, offset: UInt64(tensor * 64))
                file.data += [UInt8](repeating: UInt8(16 * number + tensor + 1), count: 40)
                if tensor < count - 1 { file.data += [UInt8](repeating: 0, count: 24) }
            }
            change(number, &file)
            return file.bytes
        }
    }

    private func headers(_ parts: [[UInt8]]) throws -> [GGUF] {
        try parts.map { try GGUF(reading: MemorySource($0), what: "a part") }
    }

    private func joined(_ parts: [[UInt8]]) throws -> [UInt8] {
        let join = try GGUFJoin(try headers(parts), what: "m")
        let header = join.header.flatMap { piece in
            switch piece {
            case .bytes(let bytes): bytes
            case .first(let range): Array(parts[0][Int(range.lowerBound)..<Int(range.upperBound)])
            case .zeros(let count): [UInt8](repeating: 0, count: Int(count))
            }
        }
        return header
            + zip(parts, join.data).flatMap { part, data in
                part[Int(data.range.lowerBound)..<Int(data.range.upperBound)]
                    + [UInt8](repeating: 0, count: Int(data.padding))
            }
    }

    @Test func isWhatLlamaCppsOwnProgramMakes() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("test_fixtures/gguf-parts")
        func file(_ name: String) throws -> [UInt8] {
            [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
        }
        let parts = try (1...3).map { try file("tiny-0000\($0)-of-00003.gguf") }
        #expect(try joined(parts) == file("joined.gguf"))
    }

    @Test(arguments: [false, true])
    func everyTensorKeepsItsBytes(isBigEndian: Bool) throws {
        // The first part may have no tensors, as gguf-split --no-tensor-first-split makes it.
        for counts in [[0, 2, 1], [3, 1], [1, 1, 1, 1]] {
            let parts = Self.parts(counts, isBigEndian: isBigEndian)
            let whole = try joined(parts)
            let gguf = try GGUF(reading: MemorySource(whole), what: "whole")
            #expect(gguf.remarks == [])
            #expect(gguf.split == nil)
            #expect(gguf["general.name"]?.text == "tiny")
            #expect(gguf.isBigEndian == isBigEndian)
            let names = counts.enumerated().flatMap { part, count in (0..<count).map { "t\(part).\($0)" } }
            #expect(gguf.tensors.map(\.name) == names)
            for tensor in gguf.tensors {
                let numbers = tensor.name.dropFirst().split(separator: ".").compactMap { Int($0) }
                let start = Int(gguf.dataOffset + tensor.offset)
                #expect(whole[start..<start + 40].allSatisfy { $0 == UInt8(16 * numbers[0] + numbers[1] + 1) })
            }
            #expect(whole.count % 32 == 0)
        }
    }

    @Test func partsThatDoNotGoTogetherAreRefused() throws {
        func refuses(_ id: String, _ parts: [[UInt8]]) throws {
            let headers = try headers(parts)
            let error = #expect(throws: KapsuleError.self) { try GGUFJoin(headers, what: "m") }
            #expect(error?.id == "gguf.join-\(id)")
            #expect(error?.message.hasPrefix("the parts of m ") == true)
        }
        let good = Self.parts([1, 1])
        try refuses("numbers", [good[1], good[0]])
        try refuses("numbers", [good[0]])
        try refuses("numbers", [])
        try refuses("form", [good[0], Self.parts([1, 1], isBigEndian: true)[1]])
        try refuses(
            "tensors",
            Self.parts([1, 0]) {
                guard $0 == 1 else { return }
                $1.addTensor("t0.0", [10], type: 0, offset: 0)
                $1.data = [UInt8](repeating: 0, count: 40)
            })
        try refuses(
            "gaps",
            Self.parts([1, 0]) {
                guard $0 == 1 else { return }
                $1.addTensor("late", [10], type: 0, offset: 32)
                $1.data = [UInt8](repeating: 0, count: 72)
            })
        try refuses("count", Self.parts([1, 1]) { if $0 == 0 { $1.add("split.tensors.count", 3) } })
    }

    /// Padding to an alignment of 2 GiB is zeros, not memory.
    @Test func aHugeAlignmentCostsNothing() throws {
        let parts = Self.parts([0, 0]) { $1.add("general.alignment", UInt32(1) << 31) }
        let join = try GGUFJoin(try headers(parts), what: "m")
        #expect(join.header.contains { if case .zeros(let count) = $0 { count > 1 << 30 } else { false } })
        #expect(join.data.allSatisfy { $0.range.isEmpty && $0.padding == 0 })
    }
}
