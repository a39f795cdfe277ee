import Foundation
import TestSupport
import Testing

/// What the built program does with files of models that are damaged, dangerous, or in several parts.
@Suite struct ModelFileCommandTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    /// A file with one tensor of so many bytes.
    private static func weights(_ name: String, _ count: Int) -> [UInt8] {
        let header = Array(#"{"\#(name)":{"dtype":"U8","shape":[\#(count)],"data_offsets":[0,\#(count)]}}"#.utf8)
        return [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header + [UInt8](repeating: 5, count: count)
    }

    private func model(_ files: [(String, [UInt8])], _ modelfile: String = "FROM .\n") throws -> String {
        try sandbox.context("model", modelfile: modelfile) { path in
            for (name, bytes) in files { try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)")) }
        }
    }

    private static let index = Array(
        #"{"metadata":{"total_size":30},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}"#.utf8)

    // MARK: Build

    @Test(
        arguments: [
            ("model.safetensors", Array(weights("w", 100).dropLast()), "model.safetensors ends at byte"),
            ("model.gguf", Array(GGUFBytes.sample().bytes.dropLast()), "model.gguf ends at byte"),
            ("model.gguf", Array("<!doctype html>".utf8), "model.gguf is a web page"),
            ("model.bin", Array("version https://git-lfs.github.com/spec/v1\n".utf8), "model.bin is a Git LFS pointer"),
            ("tokenizer.json", Array("version https://git-lfs.github.com/spec/v1\n".utf8), "is a Git LFS pointer"),
            ("model.safetensors", [], "model.safetensors is empty"),
        ] as [(String, [UInt8], String)])
    func aBuildRefusesDamagedFilesBeforeItWrites(_ name: String, _ bytes: [UInt8], _ says: String) throws {
        let model = try model([(name, bytes), ("config.json", Array("{}".utf8))])
        for options in [[], ["--check"], ["--dry-run"]] {
            let outcome = try sandbox.start(["build", "-o", "out"] + options + [model]).wait()
            #expect(outcome.status == 8)
            #expect(outcome.errors.contains("error: ") && outcome.errors.contains(says), "\(outcome.errors)")
            #expect(outcome.errors.contains("--no-check builds it as it is"))
            #expect(outcome.output == "")
        }
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/out"))
        let unchecked = try sandbox.kapsule("build", "-o", "out", "--no-check", model)
        #expect(unchecked.status == 0)
    }

    @Test func aBuildRefusesAPartThatIsMissing() throws {
        let one = ("model-1.safetensors", Self.weights("a", 10))
        let index = ("model.safetensors.index.json", Self.index)
        let model = try model([one, index])
        let missing = try sandbox.kapsule("build", "-o", "out", model)
        #expect(missing.status == 8)
        #expect(missing.errors.contains("model.safetensors.index.json needs 'model-2.safetensors', which is not part"))

        // Left out on purpose, in one of three ways.
        try Data(Self.weights("b", 20)).write(to: URL(fileURLWithPath: "\(model)/model-2.safetensors"))
        #expect(try sandbox.kapsule("build", "-o", "whole", model).errors.contains("warning") == false)
        let excluded = try sandbox.kapsule("build", "-o", "a", "--exclude", "model-2.*", model)
        #expect(excluded.status == 0)
        #expect(
            excluded.errors.contains("warning: model.safetensors.index.json needs model-2.safetensors, which the build")
        )
        try sandbox.directory.write("desk/model/Modelfile", "FROM .\nEXCLUDE model-2.*\n")
        #expect(try sandbox.kapsule("build", "-o", "b", model).errors.contains("the model is not whole"))
        try sandbox.directory.write("desk/model/Modelfile", "FROM .\n")
        try sandbox.directory.write("desk/model/.kapsuleignore", "model-2.*\n")
        #expect(try sandbox.kapsule("build", "-o", "c", model).errors.contains("the model is not whole"))
    }

    // The second build of the same files, whose digests are known by then, must notice as well.
    @Test func aBuildRefusesATensorThatIsMissing() throws {
        let model = try model([
            ("model-1.safetensors", Self.weights("a", 10)), ("model-2.safetensors", Self.weights("other", 20)),
            ("model.safetensors.index.json", Self.index),
        ])
        try sandbox.done("build", "-o", "unchecked", "--no-check", model)
        for _ in 0..<2 {
            let outcome = try sandbox.kapsule("build", "-o", "out", model)
            #expect(outcome.status == 8)
            #expect(outcome.errors.contains("model-2.safetensors does not hold the tensor 'b'"))
        }
    }

    @Test func aCheckThatPassedIsRememberedByContent() throws {
        let model = try model([("model.gguf", GGUFBytes.sample().bytes)])
        for name in ["a", "b", "c"] { try sandbox.done("build", "-o", name, model) }
        try Data(GGUFBytes.sample().bytes.dropLast()).write(to: URL(fileURLWithPath: "\(model)/model.gguf"))
        #expect(try sandbox.kapsule("build", "-o", "d", model).status == 8)
    }

    @Test func aBuildWarnsOfAConfigThatIsNoJSON() throws {
        let model = try model([("config.json", Array("{\"a\":".utf8)), ("notes.txt", [65])])
        try sandbox.directory.write("desk/model/tokenizer.json", "[")
        let outcome = try sandbox.kapsule("build", "-o", "out", model)
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("warning: tokenizer.json is no JSON object"))
        #expect(outcome.errors.contains("warning: config.json is no JSON: it ends too early, at byte 5"))
    }

    @Test(.enabled(if: TestProgram.python.isUsable, "needs python3"))
    func buildAndLintWarnOfPickles() throws {
        let folder = try TemporaryDirectory()
        try TestProgram.python.check([TestProgram.directory + "/checkpoint_files.py", "write", folder.path])
        let evil = try folder.read("evil.zip")
        let model = try model([
            ("pytorch_model-1.bin", try folder.read("state.zip")),
            ("pytorch_model-2.bin", try folder.read("state.zip")),
            ("training.pt", evil),
        ])
        let warnings = [
            "warning: pytorch_model-1.bin and 1 more are pickles: loading it may run code",
            "warning: training.pt is a pickle: loading it runs posix.system",
        ]
        let built = try sandbox.kapsule("build", "-o", "out", model)
        #expect(built.status == 0)
        for warning in warnings { #expect(built.errors.contains(warning), "\(built.errors)") }
        #expect(built.errors.contains("do not load it"))
        let linted = try sandbox.kapsule("modelfile", "lint", "\(model)/Modelfile")
        #expect(linted.status == 0)
        for warning in warnings { #expect(linted.output.contains(warning), "\(linted.output)") }
        // An archive that is cut short is damaged, not dangerous.
        try Data(evil.dropLast(5)).write(to: URL(fileURLWithPath: "\(model)/training.pt"))
        #expect(try sandbox.kapsule("build", "-o", "other", model).status == 8)
        #expect(
            try sandbox.done("modelfile", "lint", "\(model)/Modelfile").contains("training.pt ends without the table"))
    }

    // MARK: Inspect

    private func json(_ arguments: String...) throws -> [String: Any] {
        let outcome = try sandbox.start(["inspect", "--json"] + arguments).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try EndToEnd.object(outcome.output)
    }

    @Test func inspectTellsWhatAGGUFFileIs() throws {
        let path = try sandbox.directory.write("desk/m.gguf", GGUFBytes.sample().bytes)
        let text = try sandbox.done("inspect", "m.gguf")
        for line in [
            "Name:          m.gguf", "Kind:          GGUF model, version 3", "Architecture:  llama",
            "Parameters:    192 (192)", "File type:     F16", "Context:       2048 tokens", "Vocabulary:    3 tokens",
            "Chat template: 14 bytes", "Tensors:       2: 1 F32, 1 Q8_0",
        ] { #expect(text.contains("\(line)\n"), "\(line)") }
        #expect(text.contains("  tokenizer.ggml.tokens"))
        #expect(!text.contains("token_embd.weight"))
        #expect(try sandbox.done("inspect", "--tensors", "m.gguf").contains("  token_embd.weight  F32   32 × 4"))
        let object = try json("--tensors", "--digest", path)
        #expect(object["parameters"] as? Int == 192)
        #expect(object["byteOrder"] as? String == "little")
        #expect((object["tensors"] as? [[String: Any]])?.count == 2)
        #expect((object["metadata"] as? [String: Any])?["llama.context_length"] as? Int == 2048)
        let sum = try sandbox.tool("sha256sum", [path]).prefix(64)
        #expect(object["digest"] as? String == "sha256:\(sum)")
        #expect(try json(path)["digest"] == nil)
    }

    @Test func inspectTellsWhatSafetensorsAndAnIndexHold() throws {
        try sandbox.directory.write("desk/model-1.safetensors", Self.weights("a", 10))
        try sandbox.directory.write("desk/model.safetensors.index.json", Self.index)
        let file = try json("model-1.safetensors")
        #expect(file["kind"] as? String == "safetensors")
        #expect(file["parameters"] as? Int == 10)
        func problems() throws -> [String?] {
            let parts = try json("model.safetensors.index.json")["files"] as? [[String: Any]]
            return parts?.map { $0["problem"] as? String } ?? []
        }
        #expect(try problems() == [nil, "missing"])
        try sandbox.directory.write("desk/model-2.safetensors", Self.weights("c", 20))
        #expect(try problems() == [nil, "lacks 1 tensors: b"])
        try sandbox.directory.write("desk/model-2.safetensors", Array(Self.weights("b", 20).dropLast()))
        #expect(try problems()[1]?.hasPrefix("it ends at byte") == true)
        try sandbox.directory.write("desk/model-2.safetensors", Self.weights("b", 21))
        #expect(
            try sandbox.done("inspect", "model.safetensors.index.json")
                .contains("the index says 30 bytes of tensors, and the files have 31"))
    }

    @Test func inspectReadsConfigs() throws {
        try sandbox.directory.write(
            "desk/config.json", #"{"architectures":["LlamaForCausalLM"],"model_type":"llama","torch_dtype":"float16"}"#)
        #expect(try sandbox.done("inspect", "config.json").contains("Architecture:  LlamaForCausalLM\n"))
        #expect(try json("config.json")["precision"] as? String == "float16")
        try sandbox.directory.write("desk/generation_config.json", #"{"temperature":0.6}"#)
        #expect(try sandbox.done("inspect", "generation_config.json").contains("  temperature  0.6"))
        try sandbox.directory.write("desk/tokenizer.json", #"{"model":{"type":"BPE","vocab":{"a":0}}}"#)
        #expect(try sandbox.done("inspect", "tokenizer.json").contains("Vocabulary:    1 tokens"))
        try sandbox.directory.write("desk/tokenizer_config.json", #"{"chat_template":"{{ x }}"}"#)
        #expect(try json("tokenizer_config.json")["chatTemplate"] as? String == "{{ x }}")
    }

    @Test func inspectRefusesWhatIsDamagedAndFlagsThatMeanNothing() throws {
        try sandbox.directory.write("desk/m.gguf", Array(GGUFBytes.sample().bytes.dropLast()))
        let damaged = try sandbox.kapsule("inspect", "m.gguf")
        #expect(damaged.status == 8)
        #expect(damaged.errors.hasPrefix("error: m.gguf ends at byte"))
        let model = try sandbox.context("tiny", modelfile: "FROM .\n")
        try sandbox.done("build", "-t", "tiny:1", model)
        for flag in ["--digest", "--tensors"] {
            let outcome = try sandbox.kapsule("inspect", flag, "tiny:1")
            #expect(outcome.status == 2)
            #expect(outcome.errors.contains("'tiny:1' is no file of a model"))
        }
    }

    /// What is no file of a model is told from what is a damaged one.
    @Test func whatCannotBeReadIsNamed() throws {
        try sandbox.directory.write("desk/README.md", String(repeating: "words ", count: 2000))
        try sandbox.directory.write("desk/short.txt", "word")
        for name in ["README.md", "short.txt"] {
            let other = try sandbox.kapsule("inspect", name)
            #expect(other.status == 2)
            #expect(other.errors.contains("'\(name)' is neither a file of a model"), "\(other.errors)")
        }
        try sandbox.directory.write("desk/model.gguf", GGUFBytes.sample().bytes)
        let missing = try sandbox.kapsule("inspect", "modle.gguf")
        #expect(missing.status == 2)
        #expect(
            missing.errors.contains("error: there is no file 'modle.gguf'\nhelp: did you mean model.gguf?"),
            "\(missing.errors)")
    }

    @Test func theFamilyOfAChatTemplateIsNamed() throws {
        var file = GGUFBytes()
        file.add("general.architecture", "llama")
        file.add("tokenizer.chat_template", "{{ '<|im_start|>' + message.role + '<|im_end|>' }}")
        try sandbox.directory.write("desk/m.gguf", file.bytes)
        #expect(
            try sandbox.done("inspect", "m.gguf").contains("Chat template: 50 bytes, of the family chatml\n"))
        #expect(
            try EndToEnd.object(sandbox.done("inspect", "--json", "m.gguf"))["chatFamily"] as? String == "chatml")
    }

    // Headers that ask for as much memory as they can: each answer comes in less than 100 MiB.
    @Test func hostileHeadersTakeLittleMemory() throws {
        guard let time = try Tool.find("time") else { return }
        for (name, bytes) in HostileHeaders.all {
            let path = try sandbox.directory.write("desk/\(name)", bytes)
            let report = "\(sandbox.path)/desk/memory"
            let outcome = try Child(
                time.path, ["-f", "%M", "-o", report, Sandbox.program, "inspect", "--json", path],
                environment: sandbox.environment, in: "\(sandbox.path)/desk"
            ).wait()
            #expect(outcome.hasExited && [0, 8].contains(outcome.status), "\(name): \(outcome.errors.prefix(500))")
            let lines = String(decoding: try sandbox.directory.read("desk/memory"), as: UTF8.self).split(
                separator: "\n")
            let kibibytes = try #require(lines.last.flatMap { Int($0) })
            #expect(kibibytes < 100 << 10, "\(name) took \(kibibytes) KiB: \(outcome.errors.prefix(200))")
            try FileManager.default.removeItem(atPath: path)
        }
    }
}

/// Files whose headers are as large as they may be.
private enum HostileHeaders {
    static var all: [(String, [UInt8])] {
        [
            ("tensors.gguf", manyTensors), ("keys.gguf", manyKeys), ("text.gguf", longTexts), ("array.gguf", longArray),
            ("tensors.safetensors", tensors(120_000)), ("names.safetensors", tensors(90_000, name: 400)),
            ("blanks.safetensors", file(Array("{}".utf8) + [UInt8](repeating: 0x20, count: 8 << 20))),
            ("string.safetensors", file(Array("{\"".utf8) + [UInt8](repeating: 0x61, count: 8 << 20))),
            ("deep.safetensors", file([UInt8](repeating: 0x7B, count: 1) + [UInt8](repeating: 0x5B, count: 40 << 20))),
            ("config.json", Array("{\"a\":[".utf8) + [UInt8](repeating: 0x5B, count: 15 << 20)),
            ("marks.pkl", [0x80, 2] + [UInt8](repeating: 0x28, count: 30 << 20)),
            ("memo.pkl", [0x80, 4, 0x4E] + [UInt8](repeating: 0x94, count: 30 << 20)),
        ]
    }

    private static func file(_ header: [UInt8]) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header
    }

    private static func tensors(_ count: Int, name: Int = 8) -> [UInt8] {
        let padding = String(repeating: "n", count: name)
        let entries = (0..<count).map { #""\#(padding)\#($0)":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"# }
        return file(Array("{\(entries.joined(separator: ","))}".utf8))
    }

    private static var manyTensors: [UInt8] {
        var file = GGUFBytes()
        for number in 0..<100_000 {
            file.addTensor("blk.\(number).ffn_down_exps.weight", [0, 1, 1, 1], type: 0, offset: 0)
        }
        return file.bytes
    }

    private static var manyKeys: [UInt8] {
        var file = GGUFBytes()
        for number in 0..<65000 { file.add("key.number.\(number).with.a.long.name.that.is.kept", "value") }
        return file.bytes
    }

    private static var longTexts: [UInt8] {
        var file = GGUFBytes()
        let text = file.number(UInt64(16 << 20)) + [UInt8](repeating: 0x61, count: 16 << 20)
        file.add("a", type: 8, text)
        file.add("b", type: 8, text)
        return file.bytes
    }

    private static var longArray: [UInt8] {
        var file = GGUFBytes()
        let count = 1_000_000
        let text = file.text("token")
        var value = file.number(UInt32(8)) + file.number(UInt64(count))
        for _ in 0..<count { value += text }
        file.add("tokenizer.ggml.tokens", type: 9, value)
        return file.bytes
    }
}
