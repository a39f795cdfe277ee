import Formats
import KapsuleCore
import Synchronization
import TestSupport
import Testing

@Suite struct GGUFTests {
    @Test(arguments: [false, true])
    func readsBothByteOrders(isBigEndian: Bool) throws {
        let file = GGUFBytes.sample(isBigEndian: isBigEndian)
        let gguf = try GGUF(reading: MemorySource(file.bytes), what: "m.gguf")
        #expect(gguf.version == 3)
        #expect(gguf.isBigEndian == isBigEndian)
        #expect(gguf.alignment == 32)
        #expect(gguf.dataOffset == Int64(file.bytes.count - file.data.count))
        #expect(gguf.metadata.map(\.key).first == "general.architecture")
        #expect(gguf.architecture == "llama")
        #expect(gguf.contextLength == 2048)
        #expect(gguf.embeddingLength == 32)
        #expect(gguf.blockCount == 1)
        #expect(gguf.chatTemplate == "{{ messages }}")
        #expect(gguf.fileType == "F16")
        #expect(gguf.kind == .model)
        #expect(gguf.beginToken == 0)
        #expect(gguf.endToken == 1)
        #expect(gguf.vocabularySize == 3)
        #expect(gguf.parameterCount == 32 * 4 + 32 * 2)
        #expect(gguf.mainTensorType?.name == "F32")
        #expect(gguf.remarks == [])
        let output = try #require(gguf.tensors.last)
        #expect(output.name == "output.weight")
        #expect(output.dimensions == [32, 2])
        #expect(output.type.name == "Q8_0")
        #expect(output.offset == 512)
        #expect(output.size == 68)
    }

    @Test func readsVersion2() throws {
        var file = GGUFBytes.sample()
        file.version = 2
        #expect(try GGUF(reading: MemorySource(file.bytes), what: "m.gguf").version == 2)
    }

    @Test func readsAFileWithoutAnything() throws {
        let gguf = try GGUF(reading: MemorySource(GGUFBytes().bytes), what: "m.gguf")
        #expect(gguf.tensors.isEmpty)
        #expect(gguf.architecture == nil)
        #expect(gguf.fileType == "unknown")
        #expect(gguf.parameterCount == 0)
    }

    @Test func keepsOnlyTheArraysThatAreAskedFor() throws {
        let source = MemorySource(GGUFBytes.sample().bytes)
        let without = try GGUF(reading: source, what: "m.gguf")
        guard case .array(let passed)? = without[GGUF.tokensKey] else { throw Unexpected() }
        #expect(passed.count == 3)
        #expect(passed.type == .string)
        #expect(passed.elements == nil)
        #expect(without.token(1) == nil)
        let with = try GGUF(reading: source, what: "m.gguf", keeping: [GGUF.tokensKey])
        guard case .array(let kept)? = with[GGUF.tokensKey] else { throw Unexpected() }
        #expect(kept.elements?.map(\.text) == ["<s>", "</s>", "a"])
        #expect(with.token(1) == "</s>")
        #expect(with.token(3) == nil)
        #expect(with.token(-1) == nil)
    }

    // The data begins in the first block that is read, so only what lies behind that shows whether data is read.
    @Test func readsNoTensorData() throws {
        var file = GGUFBytes.sample()
        file.tensors = []
        file.addTensor("token_embd.weight", [1 << 20, 64], type: 0, offset: 0)
        let header = file.bytes.count - file.data.count
        file.data = []
        let source = WatchedSource(
            ConcatenatedSource([MemorySource(file.bytes), ZeroSource(size: 256 << 20)]))
        let gguf = try GGUF(reading: source, what: "m.gguf")
        #expect(gguf.parameterCount == 64 << 20)
        #expect(source.furthest.withLock { $0 } <= Int64(header) + 64 << 10)
    }

    @Test func acceptsWhatTheReferenceAccepts() throws {
        var file = GGUFBytes.sample()
        file.addTensor("scalar", [], type: 0, offset: 608)
        file.addTensor("empty", [0, 5], type: 0, offset: 640)
        file.addTensor(String(repeating: "n", count: 70), [1], type: 24, offset: 704)
        file.add("truth", type: 7, [9])
        file.data = [UInt8](repeating: 0, count: 4096)
        let gguf = try GGUF(reading: MemorySource(file.bytes), what: "m.gguf")
        #expect(gguf.tensors.map(\.elements) == [128, 64, 1, 0, 1])
        #expect(gguf["truth"] == .bool(true))
        #expect(
            gguf.remarks == [
                "'truth' is a truth value of 9, neither 0 nor 1",
                "tensor '\(String(repeating: "n", count: 70))' has a name of 70 bytes; llama.cpp reads at most 63",
                "its tensors do not follow each other without gaps, which llama.cpp refuses",
            ])
    }

    // A header of several blocks.
    @Test func passesALargeVocabularyBy() throws {
        var file = GGUFBytes.sample()
        file.keys = []
        file.tensors = []
        file.data = []
        let tokens = (0..<100_000).map { "token number \($0)" }
        file.add("tokenizer.ggml.tokens", array: tokens)
        file.add("general.architecture", "llama")
        let gguf = try GGUF(reading: MemorySource(file.bytes), what: "m.gguf")
        #expect(gguf.vocabularySize == 100_000)
        #expect(gguf.architecture == "llama")
    }

    @Test(arguments: [
        ("general.type", "adapter", GGUF.Kind.adapter), ("general.type", "projector", .projector),
        ("general.type", "mmproj", .projector), ("general.type", "model", .model), ("general.type", "imatrix", .model),
    ])
    func tellsWhatAFileIsFor(_ key: String, _ value: String, kind: GGUF.Kind) throws {
        var file = GGUFBytes.sample()
        file.add(key, value)
        #expect(try GGUF(reading: MemorySource(file.bytes), what: "m.gguf").kind == kind)
    }

    @Test func takesAVisionEncoderForAProjector() throws {
        var vision = GGUFBytes()
        vision.add("general.architecture", "mllama")
        vision.add("mllama.vision.block_count", UInt32(4))
        #expect(try GGUF(reading: MemorySource(vision.bytes), what: "m.gguf").kind == .projector)
        vision.add("mllama.block_count", UInt32(4))
        #expect(try GGUF(reading: MemorySource(vision.bytes), what: "m.gguf").kind == .model)
        var clip = GGUFBytes()
        clip.add("general.architecture", "clip")
        #expect(try GGUF(reading: MemorySource(clip.bytes), what: "m.gguf").kind == .model)
        clip.add("clip.has_vision_encoder", type: 7, [1])
        #expect(try GGUF(reading: MemorySource(clip.bytes), what: "m.gguf").kind == .projector)
    }

    // As observed with Ollama: only a uint32 counts, and F32 has the number 0.
    @Test func namesFileTypesAsOllamaDoes() throws {
        func name(_ type: UInt32, _ value: [UInt8]) throws -> String {
            var file = GGUFBytes()
            file.add("general.file_type", type: type, value)
            return try GGUF(reading: MemorySource(file.bytes), what: "m.gguf").fileType
        }
        let empty = GGUFBytes()
        for (number, expected) in [
            (0, "unknown"), (1, "F16"), (4, "unknown"), (7, "Q8_0"), (15, "Q4_K_M"), (21, "Q2_K_S"), (32, "BF16"),
            (33, "unknown"), (38, "MXFP4_MOE"), (39, "NVFP4"), (40, "Q1_0"), (41, "unknown"), (1024, "unknown"),
        ] as [(UInt32, String)] {
            #expect(try name(4, empty.number(number)) == expected)
        }
        #expect(try name(10, empty.number(UInt64(15))) == "unknown")
        #expect(try name(5, empty.number(Int32(15))) == "unknown")
    }
}

struct Unexpected: Error {}

/// A source that remembers how far it was read.
struct WatchedSource: ByteSource {
    let base: any ByteSource
    let furthest: Shared<Int64>

    init(_ base: any ByteSource) {
        self.base = base
        furthest = Shared(0)
    }

    var size: Int64 { base.size }
    var backing: ByteBacking { .stream }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        furthest.withLock { $0 = max($0, range.upperBound) }
        try base.read(range, into: &sink)
    }
}

/// A value that several may change.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) { mutex = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout sending Value) -> sending Result) -> Result { mutex.withLock(body) }
}
