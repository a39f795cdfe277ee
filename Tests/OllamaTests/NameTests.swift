import KapsuleCore
import ModelfileParser
import OCI
import Testing

@testable import Ollama

@Suite struct NameTests {
    @Test(arguments: [
        ("granite", "granite:latest", "registry.ollama.ai/library/granite/latest"),
        ("Granite:Q4", "Granite:Q4", "registry.ollama.ai/library/Granite/Q4"),
        ("acme/granite", "acme/granite:latest", "registry.ollama.ai/acme/granite/latest"),
        ("registry.ollama.ai/library/granite:1", "granite:1", "registry.ollama.ai/library/granite/1"),
        ("localhost:5000/library/m", "localhost:5000/library/m:latest", "localhost:5000/library/m/latest"),
        ("http://localhost:5000/a/m", "localhost:5000/a/m:latest", "localhost:5000/a/m/latest"),
    ])
    func isShownAndStoredAsOllamaDoes(_ text: String, _ short: String, _ path: String) throws {
        let name = try OllamaName(parsing: text)
        #expect(name.short == short)
        #expect(OllamaStore("/s").manifestPath(name) == "/s/manifests/\(path)")
    }

    @Test(arguments: [
        ("m:1", "m:1"), ("acme/m:1", "acme/m:1"), ("ghcr.io/acme/m:7b", "ghcr.io/acme/m:7b"),
        ("localhost:5000/m:1", "localhost:5000/library/m:1"), ("docker.io/a/m", "docker.io/a/m:latest"),
    ])
    func imagesHaveTheSameName(_ image: String, _ short: String) throws {
        #expect(try OllamaName(of: Reference(parsing: image)).short == short)
    }

    @Test(arguments: ["ghcr.io/a/b/c:1", "a/b/c:1", "ghcr.io/a.b/c:1", "m:" + String(repeating: "x", count: 81)])
    func imagesThatOllamaCannotNameAreRefused(_ image: String) throws {
        let reference = try Reference(parsing: image)
        let error = #expect(throws: KapsuleError.self) { try OllamaName(of: reference) }
        #expect(error?.id == "ollama.name")
    }

    @Test(arguments: [
        (["registry.ollama.ai", "library", "m", "latest"], true), (["h", "n", "m", ".DS_Store"], false),
        (["h", "n.n", "m", "t"], false), (["h", "n", "m"], false), (["h", "n", "m", "a:b"], false),
        (["", "n", "m", "t"], false),
    ])
    func filesAmongManifestsAreNamesOrNot(_ parts: [String], _ isName: Bool) {
        #expect((OllamaName(parts: parts) != nil) == isName)
    }

    @Test(arguments: [
        ("/data/models", "/data/models"), ("  \"/data/models\" ", "/data/models"), ("'/d'", "/d"),
        ("", "/.ollama/models"), ("\"\"", "/.ollama/models"),
    ])
    func theDirectoryIsWhereTheVariableSays(_ value: String, _ end: String) throws {
        let path = try OllamaStore.usual(["OLLAMA_MODELS": value]).path
        #expect(end.hasPrefix("/.") ? path.hasSuffix(end) : path == end)
    }
}
