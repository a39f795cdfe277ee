import Formats
import KapsuleCore
import OCI
import TestSupport
import Testing

@testable import Ollama

/// The bytes of every document, against what Ollama's own code was seen to write.
@Suite struct DocumentTests {
    private func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    private func parameters(_ pairs: (String, String)...) -> [ModelCard.Parameter] {
        pairs.map { .init(name: $0.0, value: $0.1) }
    }

    @Test func parametersAreSortedTypedAndEscapedAsOllamaWritesThem() throws {
        let bytes = try OllamaParameters.bytes(
            of: parameters(("use_mmap", "true"), ("temperature", "0.7"), ("stop", "<|im_end|>"), ("num_ctx", "4096")))
        #expect(
            text(bytes)
                == #"{"num_ctx":4096,"stop":["\u003c|im_end|\u003e"],"temperature":0.7,"use_mmap":true}"# + "\n")
        #expect(try OllamaParameters.bytes(of: []) == nil)
    }

    @Test(arguments: [
        ("num_ctx", "1000000", "1000000"), ("seed", "-1", "-1"), ("seed", "9007199254740993", "9007199254740993"),
        ("temperature", "1", "1"), ("temperature", "0", "0"), ("temperature", "-0", "-0"), ("top_p", "0.05", "0.05"),
        ("min_p", "1e-05", "0.00001"), ("min_p", "1e-06", "0.000001"), ("min_p", "1e-07", "1e-7"),
        ("min_p", "1.5e-10", "1.5e-10"), ("repeat_penalty", "1.6777216e+07", "16777216"),
        ("repeat_penalty", "1.2345e+20", "123450000000000000000"), ("repeat_penalty", "1e+21", "1e+21"),
        ("repeat_penalty", "3.4028235e+38", "3.4028235e+38"), ("use_mmap", "false", "false"),
        ("stop", "a\"b\\c\n\t\u{1}\u{8}\u{2028}é&", #"["a\"b\\c\n\t\u0001\b\u2028é\u0026"]"#),
    ])
    func aValueIsWrittenAsGoWritesIt(_ name: String, _ value: String, _ expected: String) throws {
        #expect(try text(OllamaParameters.bytes(of: parameters((name, value)))) == "{\"\(name)\":\(expected)}\n")
    }

    @Test(arguments: [("num_ctx", "0.5"), ("num_ctx", "99999999999999999999"), ("use_mmap", "yes"), ("colour", "red")])
    func aValueThatTheParameterCannotTakeIsRefused(_ name: String, _ value: String) {
        let error = #expect(throws: KapsuleError.self) { try OllamaParameters.bytes(of: parameters((name, value))) }
        #expect(error?.id == "ollama.parameter")
    }

    @Test func parametersOfOthersAreRead() throws {
        let wire =
            #"{"stop":["a","b"],"num_ctx":1e+06,"top_k":40.0,"temperature":0.30000001192092896,"numa":false,"seed":null}"#
        let (read, ignored) = try OllamaParameters.decode(Array(wire.utf8), what: "params")
        #expect(
            read
                == parameters(
                    ("num_ctx", "1000000"), ("stop", "a"), ("stop", "b"), ("temperature", "0.3"), ("top_k", "40")))
        #expect(ignored == ["numa"])
    }

    @Test(arguments: ["", "[]", "{", #"{"num_ctx":{}}"#, #"{"num_ctx":0.5}"#, #"{"stop":[1]}"#])
    func whatAreNoParametersIsRefused(_ wire: String) {
        let error = #expect(throws: KapsuleError.self) {
            try OllamaParameters.decode(Array(wire.utf8), what: "params")
        }
        #expect(error?.code == .unverified)
    }

    @Test func messagesHaveRoleAndContent() throws {
        let messages = [
            ModelCard.Message(role: "user", text: "Hi"), ModelCard.Message(role: "assistant", text: "Yo"),
        ]
        let bytes = try #require(OllamaMessages.bytes(of: messages))
        #expect(text(bytes) == #"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]"# + "\n")
        #expect(try OllamaMessages.decode(bytes, what: "messages") == messages)
        #expect(OllamaMessages.bytes(of: []) == nil)
        let shouted = Array(#"[{"role":"USER","content":"x"}]"#.utf8)
        #expect(try OllamaMessages.decode(shouted, what: "messages").first?.role == "user")
    }

    @Test(arguments: [
        #"[{"role":"tool","content":"x"}]"#, #"[{"role":"user","content":"x","images":["AA=="]}]"#,
        #"[{"role":"assistant","content":"","thinking":"hm"}]"#,
        #"[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]}]"#,
    ])
    func aMessageThatNoModelfileHoldsIsRefused(_ wire: String) {
        let error = #expect(throws: KapsuleError.self) { try OllamaMessages.decode(Array(wire.utf8), what: "messages") }
        #expect(error?.id == "ollama.message")
    }

    @Test func theManifestIsALineOfCompactJSON() throws {
        func blob(_ type: String, _ digit: Character, _ size: Int64) throws -> Descriptor {
            Descriptor(
                mediaType: type, digest: try #require(Digest(hex: String(repeating: digit, count: 64))), size: size)
        }
        let manifest = OllamaManifest(
            config: try blob(MediaType.dockerConfig, "1", 147),
            layers: [
                try blob(OllamaMediaType.model, "2", 960), try blob(OllamaMediaType.template, "3", 13),
                try blob(OllamaMediaType.parameters, "4", 83),
            ])
        func digest(_ digit: String) -> String { "sha256:" + String(repeating: digit, count: 64) }
        #expect(
            text(manifest.bytes)
                == #"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","#
                + #""config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"\#(digest("1"))","size":147},"#
                + #""layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"\#(digest("2"))","size":960},"#
                + #"{"mediaType":"application/vnd.ollama.image.template","digest":"\#(digest("3"))","size":13},"#
                + #"{"mediaType":"application/vnd.ollama.image.params","digest":"\#(digest("4"))","size":83}]}"# + "\n")
    }

    @Test func theConfigHasItsMembersInTheirOrder() throws {
        var config = OllamaConfig()
        config.modelFamily = "llama"
        config.modelFamilies = ["llama"]
        config.modelType = "8.0B"
        config.fileType = "Q4_K_M"
        let head =
            #"{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"8.0B","file_type":"Q4_K_M","#
        #expect(text(config.bytes) == head + #""architecture":"amd64","os":"linux"}"# + "\n")
        (config.renderer, config.parser, config.requires) = ("r", "p", "0.14.0")
        config.draftArchitecture = "qwen3"
        #expect(
            text(config.bytes) == head + #""renderer":"r","parser":"p","requires":"0.14.0","#
                + #""draft":{"model_format":"gguf","architecture":"qwen3"},"architecture":"amd64","os":"linux"}"# + "\n"
        )
        #expect(try OllamaConfig.decode(config.bytes, what: "config").config == config)
    }

    @Test func theConfigComesOutOfTheHeader() throws {
        let llama = try GGUF(reading: MemorySource(GGUFBytes.sample().bytes), what: "m")
        let config = OllamaConfig(models: [llama], draft: nil)
        #expect(config.modelFamily == "llama")
        #expect(config.modelFamilies == ["llama"])
        #expect(config.modelType == "192")
        #expect(config.fileType == "F16")
        let nameless = try GGUF(reading: MemorySource(GGUFBytes().bytes), what: "m")
        let unknown = OllamaConfig(models: [nameless], draft: nameless)
        #expect(unknown.modelFamily == "unknown")
        #expect(unknown.modelType == "0")
        #expect(unknown.fileType == "unknown")
        #expect(unknown.draftArchitecture == "unknown")
    }

    @Test func configsOfOlderVersionsAreRead() throws {
        let old =
            #"{"model_format":"gguf","model_family":"llama","model_families":["llama","clip"],"model_type":"7B","#
            + #""file_type":"Q4_0","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:00"]}}"#
        let read = try OllamaConfig.decode(Array(old.utf8), what: "config")
        #expect(read.config.modelFamilies == ["llama", "clip"])
        #expect(read.config.fileType == "Q4_0")
        let bare = try OllamaConfig.decode(Array(#"{"model_families":null}"#.utf8), what: "config")
        #expect(bare.config.modelFamilies == nil)
    }
}
