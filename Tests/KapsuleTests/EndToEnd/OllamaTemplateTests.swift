import Foundation
import TestSupport
import Testing

/// What a model for Ollama gets where its Modelfile has no TEMPLATE.
@Suite struct OllamaTemplateTests {
    private static func chatML(_ jinja: String = "'<|im_start|>' + message['role'] '<|im_end|>'") -> GGUFBytes {
        var file = GGUFBytes()
        file.add("general.architecture", "llama")
        file.add("tokenizer.chat_template", jinja)
        file.addTensor("token_embd.weight", [32, 4], type: 0, offset: 0)
        file.data = [UInt8](repeating: 7, count: 512)
        return file
    }

    private static let template =
        "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"

    /// The text layers of the model `t`, by what they are.
    private func texts(_ place: OllamaPlace, _ name: String = "t") throws -> [String: String] {
        let manifest = try EndToEnd.object(
            String(
                decoding: try place.bytes("\(place.models)/manifests/registry.ollama.ai/library/\(name)/latest"),
                as: UTF8.self))
        var texts: [String: String] = [:]
        for layer in try #require(manifest["layers"] as? [[String: Any]]) {
            let type = try #require((layer["mediaType"] as? String)?.split(separator: ".").last).description
            let digest = try #require(layer["digest"] as? String).replacingOccurrences(of: ":", with: "-")
            guard type != "model" else { continue }
            texts[type] = String(decoding: try place.bytes("\(place.models)/blobs/\(digest)"), as: UTF8.self)
        }
        return texts
    }

    private func made(
        _ modelfile: String, _ file: GGUFBytes = chatML()
    ) throws -> (texts: [String: String], errors: String) {
        let place = try OllamaPlace()
        let model = try place.context(modelfile, ["m.gguf": file])
        let outcome = try place.sandbox.kapsule("build", "--format", "ollama", "-t", "t", model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return (try texts(place), outcome.errors)
    }

    @Test func theFamilysTemplateAndStopWordsGoWithTheModel() throws {
        let (texts, errors) = try made("FROM ./m.gguf\nPARAMETER temperature 0.5\nSYSTEM Short.\n")
        #expect(
            texts == [
                "template": Self.template, "system": "Short.",
                "params": #"{"stop":["\u003c|im_start|\u003e","\u003c|im_end|\u003e"],"temperature":0.5}"# + "\n",
            ])
        #expect(errors.contains("chat template is of the family 'chatml'"), "\(errors)")
    }

    @Test func whatTheModelfileSaysComesFirst() throws {
        let own = try made("FROM ./m.gguf\nTEMPLATE {{ .Prompt }}\n")
        #expect(own.texts == ["template": "{{ .Prompt }}"])
        #expect(!own.errors.contains("family"), "\(own.errors)")
        #expect(try made("FROM ./m.gguf\nRENDERER r\nPARSER p\n").texts == [:])
        #expect(
            try made("FROM ./m.gguf\nPARAMETER stop x\n").texts
                == ["template": Self.template, "params": #"{"stop":["x"]}"# + "\n"])
    }

    @Test func aTemplateOfNoFamilyIsNamedAndNothingIsMadeUp() throws {
        let (texts, errors) = try made("FROM ./m.gguf\n", Self.chatML("{{ messages }}"))
        #expect(texts == [:])
        #expect(
            errors.contains("of no family that kapsule knows: Ollama before 0.30 needs a TEMPLATE line"), "\(errors)")
        #expect(!(try made("FROM ./m.gguf\n", Self.chatML(""))).errors.contains("family"))
    }

    /// Ollama looked at it when it made the model; so the model stays what it is.
    @Test func aModelOfOllamasWithoutATemplateStaysWithout() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let plain = try place.context("FROM ./m.gguf\nSYSTEM Short.\n", ["m.gguf": Self.chatML("")])
        try sandbox.done("build", "--format", "ollama", "-t", "t", plain)
        let line = try sandbox.done("build", "--format", "ollama", "-t", "again", "ollama://t")
        #expect(try texts(place, "again") == ["system": "Short."])
        #expect(
            try EndToEnd.digest(in: line)
                == EndToEnd.digest(in: sandbox.done("export", "ollama:t", "--format", "ollama", "--name", "third")))
    }

    /// What is detected is in the model from then on, wherever it goes.
    @Test func aDetectedTemplateComesBackTheSame() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let model = try place.context("FROM ./m.gguf\nSYSTEM Short.\nLICENSE MIT\n", ["m.gguf": Self.chatML()])
        let line = try sandbox.done("build", "--format", "ollama", "-t", "t", model)
        let digest = try EndToEnd.digest(in: line)
        for source in ["ollama://t", "files"] {
            if source == "files" { try sandbox.done("export", "ollama:t", "--format", "hf", "-o", "files") }
            let again = try sandbox.done("build", "-o", "type=ollama,dest=again-\(source.prefix(1)),name=t", source)
            #expect(try EndToEnd.digest(in: again) == digest)
        }
    }
}
