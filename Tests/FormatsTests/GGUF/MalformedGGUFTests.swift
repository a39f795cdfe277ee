import Formats
import KapsuleCore
import TestSupport
import Testing

/// Files that are wrong in one place each, with what is said of them.
@Suite struct MalformedGGUFTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let id: String
        /// A part of the message that only this mistake has.
        let says: String
        let make: @Sendable (inout GGUFBytes) -> Void

        init(_ id: String, _ says: String, _ make: @escaping @Sendable (inout GGUFBytes) -> Void) {
            self.id = id
            self.says = says
            self.make = make
        }

        var testDescription: String { "\(id): \(says)" }
    }

    static let cases: [Case] = beginnings + values + arrays + alignments + tensors

    private static let beginnings = [
        Case("gguf.magic", "it begins with 00000000") {
            $0.magic = [0, 0, 0, 0]
        },
        Case("gguf.magic", "begins with 504b0304") { $0.magic = Array("PK\u{3}\u{4}".utf8) },
        Case("gguf.obsolete", "is a GGML file") { $0.magic = Array("lmgg".utf8) },
        Case("gguf.obsolete", "is a GGMF file") { $0.magic = Array("fmgg".utf8) },
        Case("gguf.obsolete", "is a GGJT file") { $0.magic = Array("tjgg".utf8) },
        Case("gguf.obsolete", "is a GGLA file") { $0.magic = Array("algg".utf8) },
        Case("gguf.swapped-magic", "begins with 'FUGG'") { $0.magic = Array("FUGG".utf8) },
        Case("gguf.version", "of version 0") { $0.version = 0 },
        Case("gguf.version-1", "of version 1, which") { $0.version = 1 },
        Case("gguf.version", "of version 4") { $0.version = 4 },
        Case("gguf.version", "of version 16843009") { $0.version = 0x0101_0101 },
        Case("gguf.version", "of version 64") { $0.version = 0x4000_0000 },
        Case("gguf.count", "claims 18446744073709551615 tensors") { $0.claimedTensors = .max },
        Case("gguf.count", "claims 1000 tensors") { $0.claimedTensors = 1000 },
        Case("gguf.count", "claims 18446744073709551615 keys") { $0.claimedKeys = .max },
        Case("gguf.count", "claims 1000 keys") { $0.claimedKeys = 1000 },
        Case("gguf.count-limit", "has 131073 tensors") {
            $0.claimedTensors = 131_073
            $0.data = [UInt8](repeating: 0, count: 24 * 131_073)
        },
        Case("gguf.count-limit", "has 65537 keys") {
            $0.claimedKeys = 65537
            $0.data = [UInt8](repeating: 0, count: 12 * 65537)
        },
    ]

    private static let values = [
        Case("gguf.empty-key", "has an empty key, number 11") { $0.add("", UInt32(1)) },
        Case("gguf.duplicate-key", "has the key 'general.name' twice") { $0.add("general.name", "again") },
        Case("gguf.value-type", "gives the value of 'odd' the type 13") { $0.add("odd", type: 13, [0]) },
        Case("gguf.value-type", "gives the value of 'odd' the type 4294967295") { $0.add("odd", type: .max, [0]) },
        Case("gguf.name-length", "has a name of 65536 bytes in the key 11") {
            $0.add(String(repeating: "k", count: 65536), UInt32(1))
        },
        Case("gguf.name-encoding", "is no UTF-8 in the key 11") {
            $0.keys.append($0.number(UInt64(2)) + [0xC3, 0x28] + $0.number(UInt32(4)) + $0.number(UInt32(0)))
        },
        Case("gguf.text-length", "claims a text of 18446744073709551615 bytes in the value of 'text'") {
            $0.add("text", type: 8, $0.number(UInt64.max))
        },
        Case("gguf.text-length", "claims a text of 9223372036854775808 bytes in the value of 'text'") {
            $0.add("text", type: 8, $0.number(UInt64(1) << 63))
        },
        Case("gguf.text-length", "claims a text of 100000 bytes in the value of 'text'") {
            $0.add("text", type: 8, $0.number(UInt64(100_000)))
        },
        Case("gguf.text-length", "bytes in the key 11") { $0.keys.append($0.number(UInt64(1) << 40)) },
        Case("gguf.text-limit", "has a text of 16777217 bytes in the value of 'text'") {
            $0.add("text", type: 8, $0.number(UInt64(16 << 20) + 1))
            $0.data = [UInt8](repeating: 0, count: 17 << 20)
        },
        Case("gguf.metadata-limit", "has more than 32.0 MiB of names and texts") {
            let text = $0.number(UInt64(12 << 20)) + [UInt8](repeating: 0x61, count: 12 << 20)
            for name in ["a", "b", "c"] { $0.add(name, type: 8, text) }
        },
    ]

    private static let arrays = [
        Case("gguf.nested-array", "has an array of arrays in 'list'") {
            $0.add("list", type: 9, $0.number(UInt32(9)) + $0.number(UInt64(0)))
        },
        Case("gguf.value-type", "gives the elements of 'list' the type 99") {
            $0.add("list", type: 9, $0.number(UInt32(99)) + $0.number(UInt64(0)))
        },
        Case("gguf.array-length", "claims 18446744073709551615 elements for the array 'list'") {
            $0.add("list", type: 9, $0.number(UInt32(0)) + $0.number(UInt64.max))
        },
        Case("gguf.array-length", "claims 2305843009213693952 elements for the array 'list'") {
            $0.add("list", type: 9, $0.number(UInt32(10)) + $0.number(UInt64(1) << 61))
        },
        Case("gguf.array-length", "claims 1000 elements for the array 'list'") {
            $0.add("list", type: 9, $0.number(UInt32(8)) + $0.number(UInt64(1000)))
        },
        Case("gguf.array-limit", "has 67108865 elements in the array 'list'") {
            $0.add("list", type: 9, $0.number(UInt32(0)) + $0.number(UInt64(64 << 20) + 1))
            $0.data = [UInt8](repeating: 0, count: 65 << 20)
        },
        Case("gguf.text-length", "bytes in the array 'list'") {
            $0.add("list", type: 9, $0.number(UInt32(8)) + $0.number(UInt64(1)) + $0.number(UInt64(1) << 50))
        },
    ]

    private static let alignments = [
        Case("gguf.alignment", "has an alignment of 0 bytes") { $0.add("general.alignment", UInt32(0)) },
        Case("gguf.alignment", "has an alignment of 48 bytes") { $0.add("general.alignment", UInt32(48)) },
        Case("gguf.alignment-type", "of type uint64 instead") {
            $0.add("general.alignment", type: 10, $0.number(UInt64(32)))
        },
        Case("gguf.alignment-type", "of type string instead") { $0.add("general.alignment", "32") },
    ]

    private static let tensors = [
        Case("gguf.duplicate-tensor", "has the tensor 'output.weight' twice") {
            $0.addTensor("output.weight", [1], type: 0, offset: 1024)
        },
        Case("gguf.rank", "gives tensor 'odd' 5 dimensions") {
            $0.addTensor("odd", [1, 1, 1, 1, 1], type: 0, offset: 0)
        },
        Case("gguf.rank", "gives tensor 'odd' 4294967295 dimensions") {
            $0.tensors.append($0.tensor($0.text("odd"), .max, [], 0, 0))
        },
        Case("gguf.removed-type", "in the tensor type 4, which") { $0.addTensor("odd", [32], type: 4, offset: 0) },
        Case("gguf.removed-type", "in the tensor type 33, which") { $0.addTensor("odd", [32], type: 33, offset: 0) },
        Case("gguf.tensor-type", "in the unknown tensor type 43") { $0.addTensor("odd", [32], type: 43, offset: 0) },
        Case("gguf.tensor-type", "in the unknown tensor type 4294967295") {
            $0.addTensor("odd", [32], type: .max, offset: 0)
        },
        Case("gguf.row-length", "has rows of 33 elements in tensor 'odd'; Q4_0 has blocks of 32") {
            $0.addTensor("odd", [33], type: 2, offset: 0)
        },
        Case("gguf.row-length", "has rows of 1 elements in tensor 'odd'; Q4_K has blocks of 256") {
            $0.addTensor("odd", [], type: 12, offset: 0)
        },
        Case("gguf.dimensions", "gives tensor 'odd' impossible dimensions: [18446744073709551615]") {
            $0.addTensor("odd", [.max], type: 0, offset: 0)
        },
        Case("gguf.dimensions", "impossible dimensions: [4294967296, 4294967296]") {
            $0.addTensor("odd", [1 << 32, 1 << 32], type: 0, offset: 0)
        },
        Case("gguf.tensor-size", "too few for tensor 'odd' of 2305843009213693952 elements of F64") {
            $0.addTensor("odd", [1 << 61], type: 28, offset: 0)
        },
        Case("gguf.tensor-size", "too few for tensor 'odd' of 1000 elements of F32") {
            $0.addTensor("odd", [1000], type: 0, offset: 0)
        },
        Case("gguf.offset", "puts tensor 'odd' at byte 18446744073709551615") {
            $0.addTensor("odd", [1], type: 0, offset: .max)
        },
        Case("gguf.offset", "puts tensor 'odd' at byte 4611686018427387904") {
            $0.addTensor("odd", [1], type: 0, offset: 1 << 62)
        },
        Case("gguf.truncated-data", "promises tensor 'far' up to byte 46116860184273") {
            $0.addTensor("far", [1], type: 0, offset: (1 << 62) - 32)
        },
        Case("gguf.overlap", "overlap: 'token_embd.weight' and 'odd'") {
            $0.addTensor("odd", [1], type: 0, offset: 32)
        },
        Case("gguf.overlap", "overlap: 'output.weight' and 'odd'") {
            $0.addTensor("odd", [1], type: 0, offset: 512)
        },
        Case("gguf.truncated-data", "promises tensor 'output.weight' up to byte") { $0.data.removeLast() },
        Case("gguf.truncated-data", "promises tensor 'odd' up to byte") {
            $0.addTensor("odd", [1], type: 0, offset: 608)
        },
        Case("gguf.name-length", "has a name of 4097 bytes in the name of tensor 3") {
            $0.addTensor(String(repeating: "n", count: 4097), [1], type: 0, offset: 0)
        },
        Case("gguf.name-encoding", "is no UTF-8 in the name of tensor 3") {
            $0.tensors.append($0.tensor($0.number(UInt64(1)) + [0xFF], 1, [1], 0, 0))
        },
    ]

    private func refusal(of bytes: [UInt8]) -> KapsuleError? {
        #expect(throws: KapsuleError.self) { try GGUF(reading: MemorySource(bytes), what: "m.gguf") }
    }

    @Test(arguments: cases)
    func refusesEachWithItsOwnMessage(_ wrong: Case) throws {
        for isBigEndian in [false, true] {
            var file = GGUFBytes.sample(isBigEndian: isBigEndian)
            wrong.make(&file)
            let error = try #require(refusal(of: file.bytes))
            #expect(error.code == .unverified)
            #expect(error.id == wrong.id)
            #expect(error.message.hasPrefix("m.gguf "))
            #expect(error.message.contains(wrong.says), "\(error.message)")
        }
    }

    @Test func noTwoCasesSayTheSame() {
        #expect(Set(Self.cases.map(\.testDescription)).count == Self.cases.count)
        #expect(Self.cases.count >= 60)
    }

    // Cut at every byte of its header, a file ends within something that has a name.
    @Test func namesWhereACutFileEnds() throws {
        let file = GGUFBytes.sample()
        for length in 0..<file.bytes.count {
            let error = try #require(refusal(of: Array(file.bytes.prefix(length))))
            let ids = ["gguf.truncated", "gguf.truncated-data", "gguf.count", "gguf.array-length", "gguf.text-length"]
            #expect(ids.contains(error.id) || error.id == "gguf.tensor-size" || error.id == "gguf.offset")
            #expect(error.remedy?.contains("fetch it again") == true)
        }
    }
}
