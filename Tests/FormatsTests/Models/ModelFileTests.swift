import Formats
import KapsuleCore
import TestSupport
import Testing

@Suite struct ModelFileTests {
    private func sign(_ bytes: [UInt8], _ name: String = "file") throws -> FileSign {
        let source = MemorySource(bytes)
        return FileSign(head: try FileSign.head(of: source), size: source.size, name: name)
    }

    @Test(
        arguments: [
            ("GGUF....", .gguf), ("FUGG....", .gguf), ("lmgg....", .obsolete("GGML")), ("tjgg", .obsolete("GGJT")),
            ("algg", .obsolete("GGLA")), ("fmgg", .obsolete("GGMF")), ("PK\u{3}\u{4}", .zip), ("PK\u{5}\u{6}", .zip),
            ("1234TFL3", .tensorFlowLite), ("PAR1", .parquet), ("", .empty), ("hello", .unknown), ("\u{8}", .unknown),
            ("version https://git-lfs.github.com/spec/v1\noid", .lfsPointer), ("\n <!DOCTYPE html><p>", .webPage),
            ("<HTML>", .webPage), (String(repeating: "x", count: 257) + "ustar", .tar),
        ] as [(String, FileSign)])
    func tellsByTheFirstBytes(_ text: String, expected: FileSign) throws {
        #expect(try sign(Array(text.utf8)) == expected)
    }

    @Test func tellsByBytesThatAreNoText() throws {
        #expect(try sign([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) == .hdf5)
        #expect(try sign([0x93] + Array("NUMPY".utf8)) == .numpy)
        #expect(try sign([0x80, 2, 0x5D]) == .pickle)
        #expect(try sign([0x80, 9, 0x5D]) == .unknown)
        #expect(try sign([8, 7, 0x12], "model.onnx") == .onnx)
        #expect(try sign([8, 7, 0x12], "model.bin") == .unknown)
        #expect(try sign(safetensors("{}")) == .safetensors)
        // A header that would be longer than the file is none.
        #expect(try sign(safetensors("{}", length: 3)) == .unknown)
    }

    private func refusal(_ bytes: [UInt8], _ name: String) -> KapsuleError? {
        do {
            _ = try ModelFile.read(MemorySource(bytes), name: name, what: name)
            return nil
        } catch {
            return error as? KapsuleError
        }
    }

    @Test(
        arguments: [
            ("m.safetensors", "version https://git-lfs.github.com/spec/v1\n", "weights.lfs-pointer"),
            ("tokenizer.json", "version https://git-lfs.github.com/spec/v1\n", "weights.lfs-pointer"),
            ("m.gguf", "<!doctype html>", "weights.web-page"), ("pytorch_model.bin", "<html>", "weights.web-page"),
            ("m.gguf", "", "weights.empty"), ("m.safetensors", "", "weights.empty"), ("m.pt", "", "weights.empty"),
            ("m.gguf", "hello", "gguf.magic"), ("m.gguf", "GGUF", "gguf.truncated"), ("m", "GGUF", "gguf.truncated"),
            ("m.bin", "tjgg1234", "gguf.obsolete"), ("m.safetensors", "hello", "safetensors.too-short"),
            ("M.SAFETENSORS", "hello there, world", "safetensors.header-too-large"),
            ("m.safetensors", "PK\u{3}\u{4}", "zip.truncated"), ("config.json", "[]", "config.no-object"),
            ("config.json", "", "json.json"), ("tokenizer_config.json", "{", "json.json"),
            ("model.safetensors.index.json", "{}", "index.no-weight-map"),
        ] as [(String, String, String)])
    func refusesWhatIsNotWhatItsNameSays(_ name: String, _ text: String, _ id: String) {
        let error = refusal(Array(text.utf8), name)
        #expect(error?.id == id)
        #expect(error?.code == .unverified)
    }

    @Test(arguments: ["notes.txt", "weights.bin", "page.html", "empty"])
    func letsOthersBe(_ name: String) throws {
        let text = ["page.html": "<html>", "empty": ""][name] ?? "nothing of note"
        guard case .other = try ModelFile.read(MemorySource(Array(text.utf8)), name: name, what: name) else {
            throw Unexpected()
        }
    }
}

@Suite struct ModelConfigTests {
    private func config(_ text: String) throws -> ModelConfig {
        try ModelConfig(reading: MemorySource(Array(text.utf8)), what: "config.json")
    }

    @Test func readsWhatTransformersWrites() throws {
        let config = try config(
            """
            {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16",
             "max_position_embeddings": 40960, "hidden_size": 1024, "num_hidden_layers": 28, "vocab_size": 151936,
             "rope_theta": 1e6, "rope_scaling": null, "tie_word_embeddings": true,
             "quantization_config": {"quant_method": "awq", "bits": 4, "modules_to_not_convert": ["a"]},
             "auto_map": {"AutoModel": "modeling_x.Model", "AutoConfig": ["configuration_x.Config", null]},
             "transformers_version": "4.51.0"}
            """)
        #expect(config.architectures == ["Qwen3ForCausalLM"])
        #expect(config.modelType == "qwen3")
        #expect(config.dataType == "bfloat16")
        #expect(config.contextLength == 40960)
        #expect(config.embeddingLength == 1024)
        #expect(config.layerCount == 28)
        #expect(config.vocabularySize == 151936)
        #expect(config.quantisation == "awq")
        #expect(config.quantisationBits == 4)
        #expect(config.customCode == ["configuration_x.Config", "modeling_x.Model"])
        #expect(config.transformersVersion == "4.51.0")
    }

    @Test func looksOneLevelBelowForAModelThatSees() throws {
        let config = try config(
            #"{"dtype":"torch.float16","hidden_size":7,"text_config":{"hidden_size":4096,"max_position_embeddings":8192}}"#
        )
        #expect(config.dataType == "float16")
        #expect(config.embeddingLength == 7)
        #expect(config.contextLength == 8192)
    }

    @Test(arguments: ["n_positions", "n_ctx", "max_seq_len", "seq_length"])
    func knowsOlderNames(_ name: String) throws {
        #expect(try config("{\"\(name)\":1024,\"n_embd\":768}").contextLength == 1024)
    }

    @Test func doesNotMindOddValues() throws {
        let config = try config(
            #"{"architectures":null,"model_type":1,"torch_dtype":{"a":1},"hidden_size":"big","quantization_config":[]}"#
        )
        #expect(config == (try self.config("{}")))
    }

    @Test func readsChatTemplates() throws {
        func tokenizer(_ text: String) throws -> TokenizerConfig {
            try TokenizerConfig(reading: MemorySource(Array(text.utf8)), what: "tokenizer_config.json")
        }
        let one = try tokenizer(
            ##"{"chat_template":"{% for m in messages %}","bos_token":"<s>","eos_token":{"content":"</s>","lstrip":false}}"##
        )
        #expect(one.chatTemplate == "{% for m in messages %}")
        #expect(one.beginToken == "<s>")
        #expect(one.endToken == "</s>")
        let several = try tokenizer(
            #"{"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"},{"name":"rag","template":"r"}]}"#
        )
        #expect(several.chatTemplate == "d")
        #expect(several.namedTemplates == ["rag", "tool_use"])
        #expect(try tokenizer("{}").chatTemplate == nil)
    }

    @Test func countsWhatATokenizerHolds() throws {
        func tokenizer(_ text: String) throws -> TokenizerFile {
            try TokenizerFile(reading: MemorySource(Array(text.utf8)), what: "tokenizer.json")
        }
        let pairs = try tokenizer(
            #"{"added_tokens":[{"id":0,"content":"<s>"}],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}"#
        )
        #expect(pairs.algorithm == "BPE")
        #expect(pairs.vocabularySize == 3)
        #expect(pairs.mergeCount == 1)
        #expect(pairs.addedCount == 1)
        #expect(try tokenizer(#"{"model":{"type":"Unigram","vocab":[["a",-1.5],["b",-2]]}}"#).vocabularySize == 2)
        #expect(try tokenizer(#"{"model":null}"#) == (try tokenizer("{}")))
    }

    @Test func readsTheDefaultsOfGeneration() throws {
        let text = #"{"temperature":0.6,"top_k":20,"do_sample":true,"eos_token_id":[1,2],"x":null,"v":"4.51"}"#
        let config = try GenerationConfig(reading: MemorySource(Array(text.utf8)), what: "generation_config.json")
        #expect(config.settings.map(\.name) == ["temperature", "top_k", "do_sample", "v"])
        #expect(config.settings.map(\.value) == ["0.6", "20", "true", "4.51"])
    }

    @Test func readsAnIndex() throws {
        let text =
            #"{"metadata":{"total_size":100},"weight_map":{"b":"m-2.safetensors","a":"m-1.safetensors","c":"m-2.safetensors"}}"#
        let index = try ShardIndex(reading: MemorySource(Array(text.utf8)), what: "i")
        #expect(index.totalSize == 100)
        #expect(index.shards == ["m-1.safetensors", "m-2.safetensors"])
        #expect(index.tensors.map(\.name) == ["b", "a", "c"])
        #expect(index.tensors.map(\.shard) == [1, 0, 1])
    }

    @Test(
        arguments: [
            ("[]", "index.no-object"), ("{}", "index.no-weight-map"), (#"{"weight_map":[]}"#, "index.weight-map"),
            (#"{"weight_map":{"a":1}}"#, "index.weight-map"),
            (#"{"weight_map":{},"weight_map":{}}"#, "index.duplicate"),
            (#"{"weight_map":{"a":"b"}"#, "json.json"),
        ] as [(String, String)])
    func refusesWhatIsNoIndex(_ text: String, _ id: String) {
        let error = #expect(throws: KapsuleError.self) {
            try ShardIndex(reading: MemorySource(Array(text.utf8)), what: "i")
        }
        #expect(error?.id == id)
    }
}
