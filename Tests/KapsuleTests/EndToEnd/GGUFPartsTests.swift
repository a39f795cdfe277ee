import Foundation
import TestSupport
import Testing

/// A model in several GGUF files, for Ollama, which wants one.
@Suite struct GGUFPartsTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("test_fixtures/gguf-parts")

    private func context(_ place: OllamaPlace, _ modelfile: String = "FROM .\n") throws -> String {
        try place.sandbox.context("m", modelfile: modelfile) { path in
            for number in 1...3 {
                let name = "tiny-0000\(number)-of-00003.gguf"
                try Data(contentsOf: Self.folder.appendingPathComponent(name)).write(
                    to: URL(fileURLWithPath: "\(path)/\(name)"))
            }
        }
    }

    private var whole: [UInt8] {
        get throws { [UInt8](try Data(contentsOf: Self.folder.appendingPathComponent("joined.gguf"))) }
    }

    @Test(arguments: [
        "FROM .\n",
        "FROM ./tiny-00001-of-00003.gguf\nFROM ./tiny-00002-of-00003.gguf\nFROM ./tiny-00003-of-00003.gguf\n",
    ])
    func thePartsBecomeOneBlob(_ modelfile: String) throws {
        let place = try OllamaPlace()
        try place.sandbox.done("build", "--format", "ollama", "-t", "t", "--verify", context(place, modelfile))
        #expect(try place.bytes(place.blob(whole)) == whole)
    }

    /// From an image the parts are read again by what the image promises of each.
    @Test func partsOfAnImageAreCheckedOnTheWay() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let model = try context(place)
        for (source, arguments) in [("layout", ["-o", "layout"]), ("pack", ["--format", "modelpack", "-o", "pack"])] {
            #expect(try sandbox.start(["build", "-q"] + arguments + [model]).wait().status == 0)
            let store = "from-\(source)"
            try sandbox.done("export", "oci:\(source)", "--format", "ollama", "--name", "t", "-o", store)
            #expect(try place.bytes(place.blob(whole, in: store)) == whole)
        }
    }

    /// One bit of a part's data, and one of a number that the joined header takes over.
    @Test(arguments: [2, 1])
    func aDamagedPartIsNoticed(_ number: Int) throws {
        let place = try OllamaPlace()
        let model = try context(place)
        try place.sandbox.done("build", "-q", "--format", "modelpack", "-o", "pack", model)
        let part = try Data(contentsOf: URL(fileURLWithPath: "\(model)/tiny-0000\(number)-of-00003.gguf"))
        let blob = "\(place.work)/pack/blobs/sha256/\(place.blob([UInt8](part)).split(separator: "-").last ?? "")"
        let key = part.range(of: Data("llama.context_length".utf8))
        var spoilt = part
        // Behind the key stands its type, four bytes, then the number.
        spoilt[number == 2 ? spoilt.count - 40 : try #require(key).upperBound + 4] ^= 1
        try spoilt.write(to: URL(fileURLWithPath: blob))
        let outcome = try place.sandbox.kapsule(
            "export", "oci:pack", "--format", "ollama", "--name", "t", "-o", "spoilt")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(place.work)/spoilt/manifests"))
    }

    @Test func otherOutputsKeepTheParts() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let model = try context(place)
        let both = try sandbox.kapsule("build", "-t", "t", "-o", "type=ollama", "-o", "type=hf,dest=files", model)
        #expect(both.status == 2)
        #expect(both.errors.contains("help: make the model for Ollama with a command of its own"), "\(both.errors)")
        try sandbox.done("build", "-o", "type=hf,dest=files", model)
        #expect(try FileTree("\(place.work)/files").files.filter { $0.hasSuffix(".gguf") }.count == 3)
        let missing = try sandbox.kapsule(
            "build", "--format", "ollama", "-t", "t", "--no-check", "--exclude", "*-00002-*", model)
        #expect(missing.status == 2)
        #expect(
            missing.errors.contains("tiny-*-of-00003.gguf is a model in 3 parts, and 2 of them are here"),
            "\(missing.errors)")
    }
}
