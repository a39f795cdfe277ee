import Formats
import KapsuleCore
import Synchronization
import TestSupport
import Testing

@Suite struct ModelFactsTests {
    private func file(
        _ path: String, _ role: ModelBundle.Role, _ bytes: [UInt8]
    ) throws -> ModelBundle.File {
        ModelBundle.File(path: try BundlePath(validating: path), role: role, source: MemorySource(bytes))
    }

    private func file(_ path: String, _ role: ModelBundle.Role, _ text: String) throws -> ModelBundle.File {
        try file(path, role, Array(text.utf8))
    }

    private func facts(_ files: [ModelBundle.File], beside: String = "none/") throws -> ModelFacts {
        let sorted = files.sorted { $0.path < $1.path }
        return try ModelFactsReader.facts(of: sorted) { !$0.text.hasPrefix(beside) }
    }

    private func tensor(_ name: String, _ type: String, _ count: Int, _ bytes: Int) -> [UInt8] {
        safetensors(#"{"\#(name)":{"dtype":"\#(type)","shape":[\#(count)],"data_offsets":[0,\#(bytes)]}}"#, data: bytes)
    }

    @Test func ofAGGUFFile() throws {
        let facts = try facts([file("m.gguf", .weights, GGUFBytes.sample().bytes)])
        #expect(facts.format == .gguf)
        #expect(facts.architecture == "llama")
        #expect(facts.family == "llama")
        #expect(facts.name == "tiny")
        #expect(facts.parameters == 192)
        #expect(facts.contextLength == 2048)
        #expect(facts.embeddingLength == 32)
        #expect(facts.chatTemplate == "{{ messages }}")
        // Most numbers are F32, whatever the file's own type says.
        #expect(facts.precisions == ["float32"])
        #expect(facts.quantisation == nil)
    }

    @Test func ofAQuantisedGGUFFile() throws {
        var quantised = GGUFBytes()
        quantised.add("general.architecture", "qwen3")
        quantised.add("general.file_type", UInt32(15))
        quantised.add("general.license", "apache-2.0")
        quantised.addTensor("a", [256], type: 12, offset: 0)
        quantised.data = [UInt8](repeating: 0, count: 144)
        let facts = try facts([file("m.gguf", .weights, quantised.bytes)])
        #expect(facts.quantisation == "Q4_K_M")
        #expect(facts.precisions == [])
        #expect(facts.license == "apache-2.0")
    }

    // Parts of one model are added up; another quantisation, an adapter and a projector are not.
    @Test func ofSeveralGGUFFiles() throws {
        func part(_ number: UInt32, of count: UInt32?) -> [UInt8] {
            var file = GGUFBytes.sample()
            if let count {
                file.add("split.no", number)
                file.add("split.count", count)
            }
            return file.bytes
        }
        let parts = try facts([
            file("m-1.gguf", .weights, part(0, of: 2)), file("m-2.gguf", .weights, part(1, of: 2)),
        ])
        #expect(parts.parameters == 384)
        var adapter = GGUFBytes.sample()
        adapter.add("general.type", "adapter")
        let forms = try facts(
            [
                file("a-lora.gguf", .weights, adapter.bytes), file("b.gguf", .weights, part(0, of: nil)),
                file("c.gguf", .weights, part(0, of: nil)), file("draft/d.gguf", .weights, part(0, of: nil)),
            ], beside: "draft/")
        #expect(forms.parameters == 192)
    }

    @Test func ofADirectoryOfSafetensors() throws {
        let files = [
            try file("model-1.safetensors", .weights, tensor("a", "BF16", 100, 200)),
            try file("model-2.safetensors", .weights, tensor("b", "F32", 10, 40)),
            // The same weights once more, as Mistral's own tools have them.
            try file("consolidated.safetensors", .weights, tensor("c", "BF16", 110, 220)),
            try file("lora/adapter_model.safetensors", .adapter, tensor("d", "F32", 1, 4)),
            try file(
                "config.json", .config,
                #"{"architectures":["MistralForCausalLM"],"model_type":"mistral","max_position_embeddings":32768,"quantization_config":{"quant_method":"awq"}}"#
            ),
            try file("tokenizer_config.json", .tokenizer, #"{"chat_template":"{{ old }}"}"#),
            try file("README.md", .other, "---\nlanguage:\n- en\nlicense: \"mit\"\n---\n# Model\n"),
        ]
        let facts = try facts(files, beside: "lora/")
        #expect(facts.format == .safetensors)
        #expect(facts.architecture == "MistralForCausalLM")
        #expect(facts.family == "mistral")
        #expect(facts.parameters == 110)
        #expect(facts.precisions == ["bfloat16", "float32"])
        #expect(facts.quantisation == "awq")
        #expect(facts.contextLength == 32768)
        #expect(facts.license == "mit")
        #expect(facts.chatTemplate == "{{ old }}")
        let newer = try self.facts(files + [file("chat_template.jinja", .template, "{{ new }}")])
        #expect(newer.chatTemplate == "{{ new }}")
    }

    @Test func ofACheckpoint() throws {
        let facts = try facts([
            file("pytorch_model.bin", .weights, [0x80, 2, 0x4E, 0x2E]),
            file("config.json", .config, #"{"model_type":"bert","torch_dtype":"float32"}"#),
        ])
        #expect(facts.format == .pytorch)
        #expect(facts.precisions == ["float32"])
        #expect(facts.parameters == nil)
    }

    @Test(arguments: [
        "no lines", "---\nlicense: other\n---\n", "---\nlicense:\n- mit\n- gpl-3.0\n---\n",
        "---\na: b\n---\nlicense: mit\n",
    ])
    func namesNoLicenceThatIsNone(_ text: String) throws {
        #expect(try facts([file("README.md", .other, text)]).license == nil)
    }

    @Test func ofNothing() throws { #expect(try facts([file("a.txt", .other, "a")]) == ModelFacts()) }

    @Test func areReadWhenTheyAreAskedForAndOnce() throws {
        let count = Shared(0)
        let source = ModelFactsSource {
            count.withLock { $0 += 1 }
            return ModelFacts()
        }
        let bundle = ModelBundle(
            identity: "m", card: ModelCard(), modelfile: [], origin: Origin(), files: [], lanes: [], facts: source)
        let other = bundle.identified(as: "n", digests: []).with(lanes: [])
        #expect(count.withLock { $0 } == 0)
        for _ in 0..<3 { _ = try other.facts() }
        #expect(count.withLock { $0 } == 1)
    }
}
