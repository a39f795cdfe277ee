import KapsuleCore
import KapsuleCrypto
import ModelfileParser
import OCI
import TestSupport
import Testing

@testable import Ollama

/// What others wrote may be anything.
@Suite struct HostileTests {
    private static let documents: [(name: String, bytes: [UInt8], read: @Sendable ([UInt8]) throws -> Void)] = [
        (
            "params",
            Array(#"{"num_ctx":4096,"stop":["\u003c|im_end|\u003e"],"temperature":0.7,"use_mmap":true}"#.utf8),
            { _ = try OllamaParameters.decode($0, what: "params") }
        ),
        (
            "messages", Array(#"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]"#.utf8),
            { _ = try OllamaMessages.decode($0, what: "messages") }
        ),
        (
            "config",
            Array(
                #"{"model_format":"gguf","model_families":["llama"],"draft":{"architecture":"a"},"os":"linux"}"#.utf8),
            { _ = try OllamaConfig.decode($0, what: "config") }
        ),
    ]

    @Test(arguments: documents.map(\.name))
    func aDocumentIsReadOrRefusedWhateverItHolds(_ name: String) throws {
        let document = try #require(Self.documents.first { $0.name == name })
        var random = SeededGenerator(seed: 11)
        let pieces = [#"{""#, "[[[[", "\u{0}", "1e999", "-", "null", #""\ud800""#, "9999999999999999999999", "\"", "]"]
        for _ in 0..<3000 {
            var bytes = document.bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<max(1, bytes.count), using: &random)
                switch Int.random(in: 0...3, using: &random) {
                case 0: bytes.insert(contentsOf: pieces.randomElement(using: &random)?.utf8 ?? "".utf8, at: place)
                case 1 where !bytes.isEmpty: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 2 where !bytes.isEmpty: bytes.removeSubrange(place..<min(bytes.count, place + 5))
                default: bytes = Array(bytes.prefix(place))
                }
            }
            do { try document.read(bytes) } catch is KapsuleError {}
        }
        let deep = String(repeating: "[", count: 200_000)
        #expect(throws: KapsuleError.self) { try document.read(Array(deep.utf8)) }
    }

    /// A manifest of a store, over blobs that may be anything.
    private func model(_ layers: [(type: String, bytes: [UInt8])], config: String = "{}") throws -> OllamaModel {
        let directory = try TemporaryDirectory()
        let store = OllamaStore(directory.path)
        func blob(_ type: String, _ bytes: [UInt8]) throws -> Descriptor {
            let blob = try store.put(bytes)
            return Descriptor(mediaType: type, digest: blob.digest, size: blob.size)
        }
        let manifest = OllamaManifest(
            config: try blob(MediaType.dockerConfig, Array(config.utf8)),
            layers: try layers.map { try blob($0.type, $0.bytes) })
        let name = try OllamaName(parsing: "m")
        try store.publish(manifest.bytes, as: name, replaces: false)
        return try OllamaModel(reading: Image(try #require(try OllamaOrigin(name, in: store))))
    }

    private static let weights = (type: OllamaMediaType.model, bytes: Array("weights".utf8))

    private func refusal(_ layers: [(type: String, bytes: [UInt8])], config: String = "{}") throws -> String? {
        #expect(throws: KapsuleError.self) { try model([Self.weights] + layers, config: config) }?.id
    }

    @Test func whatCannotBeKeptIsRefusedByName() throws {
        #expect(try refusal([(OllamaMediaType.tensor, [1])]) == "ollama.tensors")
        #expect(
            try refusal([], config: #"{"remote_host":"https://ollama.com:443","remote_model":"x"}"#) == "ollama.remote")
        #expect(try refusal([], config: "[]") == "ollama.document")
        #expect(try refusal([(OllamaMediaType.system, [0xFF, 0xFE, 0x41])]) == "ollama.encoding")
        #expect(
            try refusal([(OllamaMediaType.license, [UInt8](repeating: 65, count: 17 << 20))]) == "source.too-large")
        let long = (OllamaMediaType.license, [UInt8](repeating: 65, count: 1 << 20))
        #expect(try refusal(Array(repeating: long, count: 65)) == "ollama.text-limit")
        #expect(throws: KapsuleError.self) { try model([(OllamaMediaType.license, [65])]) }
    }

    @Test func theLaterOfTwoCountsAndWhatIsUnknownIsSaid() throws {
        let read = try model([
            Self.weights, (OllamaMediaType.template, Array("old".utf8)), (OllamaMediaType.prompt, Array("new".utf8)),
            (OllamaMediaType.license, Array("A".utf8)), (OllamaMediaType.license, Array("B".utf8)),
            (OllamaMediaType.parameters, Array(#"{"numa":true,"top_k":1}"#.utf8)),
            ("application/vnd.ollama.image.embed", [1]),
        ])
        #expect(read.card.template == "new")
        #expect(read.card.licenses == ["A", "B"])
        #expect(read.card.parameters == [.init(name: "top_k", value: "1")])
        #expect(
            read.remarks == [
                "ollama:m:latest has parameters that today's Ollama does not know: numa",
                "ollama:m:latest has a layer of the unknown type application/vnd.ollama.image.embed, which is left out",
            ])
    }

    @Test(arguments: ["\u{1}", "a\rb", "\"\"\"\nx\"\"\"\ny", " ", "\t", "\"", "é\u{FEFF}", "x\n", "\r\n"])
    func aTextComesThroughOrIsRefused(_ text: String) throws {
        let read = try model([Self.weights, (OllamaMediaType.system, Array(text.utf8))])
        do {
            let modelfile = try read.modelfile(named: "m", keeping: { _ in true })
            #expect(modelfile.card.system.map { Array($0.utf8) } == Array(text.utf8))
        } catch let error as KapsuleError {
            #expect(error.id == "modelfile.unprintable-value")
        }
    }
}
