import Formats
import Foundation
import KapsuleCore
import TestSupport
import Testing

/// A file with that header, and data of so many bytes.
func safetensors(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
    let text = Array(header.utf8)
    let count = length ?? UInt64(text.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: count >> UInt64(8 * $0)) } + text
        + [UInt8](repeating: 1, count: data)
}

@Suite struct SafetensorsTests {
    private static let needsPackage: ConditionTrait = .enabled(
        if: TestProgram.pythonFormats.isUsable, "needs the Python package safetensors")
    private static let tool = TestProgram.directory + "/safetensors_files.py"

    private struct Reading: Decodable {
        struct Tensor: Decodable { let name: String; let type: String; let shape: [Int64] }
        let metadata: [String: String]
        let tensors: [Tensor]
    }

    @Test func readsTheExampleOfTheFormat() throws {
        let bytes = safetensors(
            #"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#
                + #""b":{"dtype":"F16","shape":[3],"data_offsets":[24,30]}}"#, data: 30)
        let file = try Safetensors(reading: MemorySource(bytes), what: "m.safetensors")
        #expect(file.metadata.map(\.name) == ["format"])
        #expect(file.tensors.map(\.name) == ["w", "b"])
        #expect(file.tensors.map(\.shape) == [[2, 3], [3]])
        #expect(file.tensors.map(\.range) == [0..<24, 24..<30])
        #expect(file.tensors.map(\.type) == [.f32, .f16])
        #expect(file.parameterCount == 9)
        #expect(file.dataOffset == Int64(bytes.count - 30))
        #expect(file.remarks == [])
    }

    @Test(arguments: Safetensors.DataType.allCases)
    func knowsTheSizeOfEveryType(_ type: Safetensors.DataType) throws {
        let size = type.bits * 8 / 8
        let bytes = safetensors(
            #"{"w":{"dtype":"\#(type.rawValue)","shape":[2,4],"data_offsets":[0,\#(size)]}}"#, data: Int(size))
        #expect(try Safetensors(reading: MemorySource(bytes), what: "m").parameterCount == 8)
        #expect(throws: KapsuleError.self) { try Safetensors(reading: MemorySource(bytes + [0]), what: "m") }
    }

    @Test func readsNoTensorData() throws {
        let size = 256 << 20
        let header = safetensors(#"{"w":{"dtype":"U8","shape":[\#(size)],"data_offsets":[0,\#(size)]}}"#)
        let source = WatchedSource(ConcatenatedSource([MemorySource(header), ZeroSource(size: Int64(size))]))
        #expect(try Safetensors(reading: source, what: "m").parameterCount == Int64(size))
        #expect(source.furthest.withLock { $0 } <= 64 << 10)
    }

    @Test(needsPackage) func readsWhatThePackageWrites() throws {
        let folder = try TemporaryDirectory()
        let path = "\(folder.path)/m.safetensors"
        try TestProgram.pythonFormats.check([Self.tool, "write", path])
        let read = try JSONDecoder().decode(
            Reading.self, from: Data(try TestProgram.pythonFormats.check([Self.tool, "read", path]).utf8))
        let file = try Safetensors(reading: MemorySource(folder.read("m.safetensors")), what: "m.safetensors")
        #expect(Dictionary(uniqueKeysWithValues: file.metadata.map { ($0.name, $0.value) }) == read.metadata)
        let ours = file.tensors.sorted { $0.name < $1.name }
        let theirs = read.tensors.sorted { $0.name < $1.name }
        #expect(ours.map(\.name) == theirs.map(\.name))
        #expect(ours.map(\.type.rawValue) == theirs.map(\.type))
        #expect(ours.map(\.shape) == theirs.map(\.shape))
        #expect(ours.contains { $0.name == "größe \"quoted\"\n" })
        #expect(file.remarks == [])
    }

    /// What the reference accepts although it is odd.
    static let odd: [(String, [UInt8])] = [
        ("empty", safetensors("{}")), ("blanks-behind", safetensors("{}  \n\t ")), ("blank-before", safetensors(" {}")),
        ("null-metadata", safetensors(#"{"__metadata__":null}"#)),
        (
            "more-members",
            safetensors(#"{"w":{"x":[1,{"y":-1.5e-3}],"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, data: 1)
        ),
        (
            "order",
            safetensors(
                #"{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
                data: 2)
        ),
        (
            "zero-size",
            safetensors(
                #"{"a":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
                data: 1)
        ),
        (
            "escapes",
            safetensors(
                #"{"\u0061\"\\\/\b\f\n\r\t\ud83d\ude00":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, data: 1)
        ),
    ]

    @Test(arguments: odd.indices)
    func acceptsWhatTheReferenceAccepts(_ index: Int) throws {
        let file = try Safetensors(reading: MemorySource(Self.odd[index].1), what: "m")
        if Self.odd[index].0 == "escapes" { #expect(file.tensors[0].name == "a\"\\/\u{8}\u{c}\n\r\t😀") }
        if Self.odd[index].0 == "blank-before" { #expect(file.remarks.count == 1) }
    }

    @Test func remarksOnMetadataThatTransformersRefuses() throws {
        let file = try Safetensors(reading: MemorySource(safetensors(#"{"__metadata__":{"a":"b"}}"#)), what: "m")
        #expect(
            file.remarks == ["its __metadata__ has no format of pt, tf, flax or mlx: transformers refuses it"])
    }

    // MARK: Refusals

    struct Case: Sendable, CustomTestStringConvertible {
        let id: String
        let says: String
        let bytes: [UInt8]
        /// The reference lets it pass: a duplicate name, of which it takes the last.
        var referenceAccepts = false

        init(_ id: String, _ says: String, _ bytes: [UInt8], referenceAccepts: Bool = false) {
            self.id = id
            self.says = says
            self.bytes = bytes
            self.referenceAccepts = referenceAccepts
        }

        var testDescription: String { "\(id): \(says)" }
    }

    private static func entry(_ name: String, _ type: String, _ shape: String, _ begin: String, _ end: String) -> String
    {
        #""\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
    }

    private static func one(_ type: String, _ shape: String, _ begin: String, _ end: String, data: Int) -> [UInt8] {
        safetensors("{\(entry("w", type, shape, begin, end))}", data: data)
    }

    static let cases = beginnings + texts + entries + places

    private static let beginnings = [
        Case("safetensors.too-short", "it has 0 bytes", []),
        Case("safetensors.too-short", "it has 7 bytes", [UInt8](repeating: 0, count: 7)),
        Case(
            "safetensors.header-too-large", "claims a header of 100000001 bytes", safetensors("{}", length: 100_000_001)
        ),
        Case(
            "safetensors.header-too-large", "claims a header of 18446744073709551615 bytes",
            safetensors("{}", length: .max)),
        Case("safetensors.truncated-header", "its header alone has 3 bytes", safetensors("{}", length: 3)),
        Case("safetensors.json", "it ends too early, at byte 0", safetensors("")),
        Case("safetensors.json", "it ends too early, at byte 1", safetensors("{")),
        Case("safetensors.no-object", "no JSON object", safetensors("[]")),
        Case("safetensors.no-object", "no JSON object", safetensors("1")),
    ]

    private static let texts = [
        Case("safetensors.json", "0x00 after the end of the document, at byte 2", safetensors("{}\0")),
        Case("safetensors.json", "'{' after the end of the document", safetensors("{}{}")),
        Case("safetensors.json", "'}' after a comma", safetensors("{\(entry("a", "U8", "[]", "0", "1")),}", data: 1)),
        Case("safetensors.json", "'}' where ':' should be", safetensors(#"{"a"}"#)),
        Case("safetensors.json", "'a' where '\"' should be", safetensors("{a:1}")),
        Case("safetensors.json", "'N' where a value should be", safetensors(#"{"w":{"x":NaN}}"#)),
        Case("safetensors.json", "'1' within a number", safetensors(#"{"w":{"x":01}}"#)),
        Case("safetensors.json", "'}' within a number", safetensors(#"{"w":{"x":1.}}"#)),
        Case("safetensors.json", "',' within a number", safetensors(#"{"w":{"x":1e,"y":1}}"#)),
        Case("safetensors.json", "0x0a within a text", safetensors("{\"a\n\":1}")),
        Case("safetensors.json", "'x' after a backslash", safetensors(#"{"\x":1}"#)),
        Case("safetensors.json", "'g' within an escape", safetensors(#"{"\u00g0":1}"#)),
        Case("safetensors.json", "half of a character", safetensors(#"{"\ud83d":1}"#)),
        Case("safetensors.json", "half of a character, at byte 8", safetensors(#"{"\ude00":1}"#)),
        Case(
            "safetensors.json-depth", "more than 128 levels",
            safetensors(#"{"w":{"x":"# + String(repeating: "[", count: 200) + String(repeating: "]", count: 200) + "}}")
        ),
        Case(
            "safetensors.utf8", "bytes that are no UTF-8, at byte 2",
            [7, 0, 0, 0, 0, 0, 0, 0] + [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]),
        Case(
            "safetensors.utf8", "bytes that are no UTF-8, at byte 3",
            [8, 0, 0, 0, 0, 0, 0, 0] + [0x7B, 0x22, 0xE0, 0x80, 0x22, 0x3A, 0x31, 0x7D]),
    ]

    private static let entries = [
        Case(
            "safetensors.metadata", "has 'a' in __metadata__, which is no text",
            safetensors(#"{"__metadata__":{"a":1}}"#)),
        Case("safetensors.metadata", "has a __metadata__ that is no object", safetensors(#"{"__metadata__":[]}"#)),
        Case(
            "safetensors.duplicate-metadata", "has __metadata__ twice",
            safetensors(#"{"__metadata__":{},"__metadata__":{}}"#)),
        Case("safetensors.entry", "describes tensor 'w' by something", safetensors(#"{"w":1}"#)),
        Case(
            "safetensors.missing-member", "says no dtype of tensor 'w'",
            safetensors(#"{"w":{"shape":[],"data_offsets":[0,0]}}"#)),
        Case(
            "safetensors.missing-member", "says no shape of tensor 'w'",
            safetensors(#"{"w":{"dtype":"U8","data_offsets":[0,0]}}"#)),
        Case(
            "safetensors.missing-member", "says no data_offsets of tensor 'w'",
            safetensors(#"{"w":{"dtype":"U8","shape":[]}}"#)),
        Case(
            "safetensors.duplicate-member", "two members 'dtype'",
            safetensors(#"{"w":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, data: 1)),
        Case("safetensors.dtype", "in the unknown type 'F99'", one("F99", "[]", "0", "1", data: 1)),
        Case("safetensors.dtype", "in the unknown type 'f32'", one("f32", "[]", "0", "4", data: 4)),
        Case("safetensors.no-array", "has a shape of tensor 'w' that is no array", one("U8", "1", "0", "1", data: 1)),
        Case("safetensors.number", "in the shape of tensor 'w'", one("U8", "[-1]", "0", "1", data: 1)),
        Case("safetensors.number", "in the shape of tensor 'w'", one("U8", "[1.0]", "0", "1", data: 1)),
        Case("safetensors.number", "in the shape of tensor 'w'", one("U8", "[1e0]", "0", "1", data: 1)),
        Case("safetensors.number", "in the shape of tensor 'w'", one("U8", "[\"1\"]", "0", "1", data: 1)),
        Case(
            "safetensors.number", "in the data_offsets of tensor 'w'",
            one("U8", "[]", "0", "18446744073709551616", data: 1)),
        Case("safetensors.offsets", "has 3 data_offsets for tensor 'w'", one("U8", "[]", "0", "1,1", data: 1)),
        Case(
            "safetensors.offsets", "has 1 data_offsets for tensor 'w'",
            safetensors(#"{"w":{"dtype":"U8","shape":[],"data_offsets":[0]}}"#)),
        Case(
            "safetensors.duplicate-tensor", "has the tensor 'w' twice",
            safetensors("{\(entry("w", "U8", "[]", "0", "1")),\(entry("w", "U8", "[]", "1", "2"))}", data: 2)),
        Case(
            "safetensors.duplicate-tensor", "has the tensor 'same' twice",
            safetensors("{\(entry("same", "U8", "[0]", "0", "0")),\(entry("same", "U8", "[1]", "0", "1"))}", data: 1),
            referenceAccepts: true),
    ]

    private static let places = [
        Case("safetensors.reversed", "end at byte 0, before it begins at 4", one("F32", "[]", "4", "0", data: 4)),
        Case(
            "safetensors.tensor-size", "has 3 bytes for tensor 'w', and [1] of F32 take 4",
            one("F32", "[1]", "0", "3", data: 3)),
        Case(
            "safetensors.tensor-size", "has 8 bytes for tensor 'w', and [1] of F32 take 4",
            one("F32", "[1]", "0", "8", data: 8)),
        Case(
            "safetensors.shape", "impossible shape [4294967296, 4294967296]",
            one("U8", "[4294967296,4294967296]", "0", "0", data: 0)),
        Case(
            "safetensors.shape", "impossible shape [18446744073709551615]",
            one("U8", "[18446744073709551615]", "0", "0", data: 0)),
        Case(
            "safetensors.shape", "impossible shape [4611686018427387904]",
            one("F32", "[4611686018427387904]", "0", "0", data: 0)),
        Case("safetensors.part-of-byte", "has 3 elements of F4", one("F4", "[3]", "0", "1", data: 1)),
        Case(
            "safetensors.offset", "at bytes 0 to 18446744073709551615",
            one("U8", "[]", "0", "18446744073709551615", data: 1)),
        Case(
            "safetensors.hole", "has 1 bytes of no tensor between the beginning of the data and 'w'",
            one("U8", "[]", "1", "2", data: 2)),
        Case(
            "safetensors.hole", "has 2 bytes of no tensor between 'a' and 'b'",
            safetensors("{\(entry("a", "U8", "[]", "0", "1")),\(entry("b", "U8", "[]", "3", "4"))}", data: 4)),
        Case(
            "safetensors.overlap", "overlap: 'a' and 'b'",
            safetensors("{\(entry("a", "U8", "[2]", "0", "2")),\(entry("b", "U8", "[2]", "1", "3"))}", data: 3)),
        Case("safetensors.truncated-data", "promises tensor 'w' up to byte", one("U8", "[4]", "0", "4", data: 3)),
        Case("safetensors.trailing", "has 1 bytes behind 'w'", one("U8", "[4]", "0", "4", data: 5)),
        Case("safetensors.trailing", "has 9 bytes behind the beginning", safetensors("{}", data: 9)),
    ]

    @Test(arguments: cases)
    func refusesEachWithItsOwnMessage(_ wrong: Case) throws {
        let error = #expect(throws: KapsuleError.self) {
            try Safetensors(reading: MemorySource(wrong.bytes), what: "m.safetensors")
        }
        #expect(error?.code == .unverified)
        #expect(error?.id == wrong.id)
        #expect(error?.message.hasPrefix("m.safetensors ") == true)
        #expect(error?.message.contains(wrong.says) == true, "\(error?.message ?? "")")
    }

    // The reference judges every file of the tables as this reader does.
    @Test(needsPackage) func judgesAsTheReferenceDoes() throws {
        let folder = try TemporaryDirectory()
        for (index, wrong) in Self.cases.enumerated() { try folder.write("wrong-\(index + 1000)", wrong.bytes) }
        for (name, bytes) in Self.odd { try folder.write("odd-\(name)", bytes) }
        let verdicts = try TestProgram.pythonFormats.check([Self.tool, "judge", folder.path]).split(separator: "\n")
        #expect(verdicts.count == Self.cases.count + Self.odd.count)
        for verdict in verdicts {
            let words = verdict.split(separator: " ", maxSplits: 2)
            let isFine = words[1] == "ok"
            if words[0].hasPrefix("odd-") {
                #expect(isFine, "\(verdict)")
            } else {
                let wrong = Self.cases[try #require(Int(words[0].dropFirst(6))) - 1000]
                #expect(isFine == wrong.referenceAccepts, "\(wrong.testDescription): \(verdict)")
            }
        }
    }
}
