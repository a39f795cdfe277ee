import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport

/// A sandbox whose Ollama store is its folder `desk/models`.
struct OllamaPlace {
    let sandbox: Sandbox
    var work: String { "\(sandbox.path)/desk" }
    var models: String { "\(work)/models" }

    init() throws {
        sandbox = try Sandbox()
        sandbox.environment["OLLAMA_MODELS"] = models
    }

    /// A context `m` with GGUF files and a Modelfile.
    @discardableResult
    func context(
        _ modelfile: String = Self.modelfile, _ files: [String: GGUFBytes] = Self.files
    ) throws -> String {
        try sandbox.context("m", modelfile: modelfile) { path in
            for (name, file) in files { try Data(file.bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)")) }
            try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(path)/config.json"))
        }
    }

    static var files: [String: GGUFBytes] {
        var lora = GGUFBytes.sample()
        lora.add("general.type", "adapter")
        var projector = GGUFBytes()
        projector.add("general.architecture", "clip")
        projector.add("general.type", "mmproj")
        projector.addTensor("v.weight", [32, 2], type: 0, offset: 0)
        projector.data = [UInt8](repeating: 3, count: 256)
        var draft = GGUFBytes.sample()
        draft.keys[0] = draft.text("general.architecture") + draft.number(UInt32(8)) + draft.text("qwen3")
        return ["tiny.gguf": .sample(), "lora.gguf": lora, "vision.gguf": projector, "small.gguf": draft]
    }

    static let modelfile = #"""
        FROM ./tiny.gguf
        FROM ./vision.gguf
        ADAPTER ./lora.gguf
        DRAFT ./small.gguf
        TEMPLATE """{{ .System }} <|x|> & {{ .Prompt }}
        """
        SYSTEM You are "terse" & <fun>.
        PARAMETER stop <|im_end|>
        PARAMETER stop "é "
        PARAMETER temperature 0.7
        PARAMETER top_p 1
        PARAMETER num_ctx 1000000
        PARAMETER use_mmap true
        LICENSE MIT
        LICENSE """Second
        licence"""
        MESSAGE user Hi
        MESSAGE assistant Yo <b>
        RENDERER r
        PARSER p
        REQUIRES v0.14.0
        """#

    func tree(_ name: String = "models") throws -> FileTree { try FileTree("\(work)/\(name)") }

    func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }
    func blob(_ bytes: [UInt8], in store: String = "models") -> String {
        "\(work)/\(store)/blobs/sha256-\(Digest.of(bytes).hex)"
    }

    func inode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
    }
}
