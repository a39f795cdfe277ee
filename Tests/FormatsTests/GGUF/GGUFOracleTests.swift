import Formats
import Foundation
import KapsuleCore
import TestSupport
import Testing

/// The PyPI package gguf, which llama.cpp's converters write with.
@Suite struct GGUFOracleTests {
    private static let needsPackage: ConditionTrait = .enabled(
        if: TestProgram.pythonFormats.isUsable, "needs the Python package gguf")
    private static let tool = TestProgram.directory + "/gguf_files.py"

    private struct Reading: Decodable {
        struct Key: Decodable { let key: String; let types: [String] }
        struct Tensor: Decodable {
            let name: String
            let type: UInt32
            let dimensions: [Int64]
            let elements: Int64
            let size: Int64
            /// From the start of the file.
            let offset: Int64
        }
        let alignment: Int64
        let data: Int64
        let keys: [Key]
        let tensors: [Tensor]
    }

    private func source(_ path: String) throws -> MemorySource {
        MemorySource(Array(try Data(contentsOf: URL(fileURLWithPath: path))))
    }

    private func package(reads path: String) throws -> Reading {
        let output = try TestProgram.pythonFormats.check([Self.tool, "read", path])
        return try JSONDecoder().decode(Reading.self, from: Data(output.utf8))
    }

    @Test(needsPackage, arguments: ["little", "big"])
    func readsWhatThePackageWrites(_ name: String) throws {
        let folder = try TemporaryDirectory()
        try TestProgram.pythonFormats.check([Self.tool, "write", folder.path])
        let path = "\(folder.path)/\(name).gguf"
        let gguf = try GGUF(
            reading: source(path), what: name, keeping: ["test.numbers", "test.floats", GGUF.tokensKey])
        #expect(gguf.isBigEndian == (name == "big"))
        #expect(gguf["test.uint8"] == .uint8(200))
        #expect(gguf["test.int8"] == .int8(-100))
        #expect(gguf["test.uint16"] == .uint16(60000))
        #expect(gguf["test.int16"] == .int16(-30000))
        #expect(gguf["test.uint32"] == .uint32(4_000_000_000))
        #expect(gguf["test.int32"] == .int32(-2_000_000_000))
        #expect(gguf["test.uint64"] == .uint64(1 << 63))
        #expect(gguf["test.int64"] == .int64(-(1 << 62)))
        #expect(gguf["test.float32"] == .float32(0.15625))
        #expect(gguf["test.float64"] == .float64(1e300))
        #expect(gguf["test.bool"] == .bool(true))
        #expect(gguf["test.string"] == .string("grüße 世界"))
        guard case .array(let numbers)? = gguf["test.numbers"], case .array(let floats)? = gguf["test.floats"] else {
            throw Unexpected()
        }
        #expect(numbers.elements == [.int32(1), .int32(-2), .int32(3)])
        #expect(floats.elements == [.float32(0.5), .float32(0.25)])
        #expect(gguf.token(999) == "token999")
        #expect(gguf.chatTemplate == "{{ messages }}")
        #expect(gguf.namedChatTemplates.map(\.name) == ["tool_use"])
        #expect(gguf.fileType == "Q4_K_M")
        #expect(gguf.remarks == [])

        let read = try package(reads: path)
        #expect(gguf.alignment == read.alignment)
        #expect(gguf.dataOffset == read.data)
        #expect(gguf.metadata.map(\.key) == read.keys.map(\.key))
        #expect(gguf.metadata.map { "\($0.value.type)".uppercased() } == read.keys.map { $0.types[0] })
        #expect(gguf.tensors.map(\.name) == read.tensors.map(\.name))
        #expect(gguf.tensors.map(\.type.number) == read.tensors.map(\.type))
        #expect(gguf.tensors.map(\.dimensions) == read.tensors.map(\.dimensions))
        #expect(gguf.tensors.map(\.elements) == read.tensors.map(\.elements))
        #expect(gguf.tensors.map(\.size) == read.tensors.map(\.size))
        #expect(gguf.tensors.map { $0.offset + gguf.dataOffset } == read.tensors.map(\.offset))
    }

    // The tests' own writer makes what the package takes: else a table of mistakes would prove little.
    @Test(needsPackage, arguments: [false, true])
    func thePackageReadsTheTestsSample(isBigEndian: Bool) throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("m.gguf", GGUFBytes.sample(isBigEndian: isBigEndian).bytes)
        let read = try package(reads: path)
        #expect(read.tensors.map(\.name) == ["token_embd.weight", "output.weight"])
        #expect(read.tensors.map(\.elements) == [128, 64])
    }

    // Sizes of blocks, as the package has them; it pads Q8_1, which is in no file.
    @Test(needsPackage) func knowsEveryTensorTypeOfThePackage() throws {
        let output = try TestProgram.pythonFormats.check([
            "-c",
            "import gguf\nfor k in gguf.GGMLQuantizationType: print(int(k), k.name, *gguf.GGML_QUANT_SIZES[k])",
        ])
        let lines = output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.count > 30)
        for line in lines where line[1] != "Q8_1" {
            let type = try #require(UInt32(line[0]).flatMap(GGUF.TensorType.init))
            #expect([type.name, "\(type.elements)", "\(type.bytes)"] == line[1...].map(String.init))
        }
    }
}
