import Foundation
import KapsuleCore
import KapsuleCrypto
import ModelfileParser
import OCI
import TestSupport
import Testing

@testable import Ollama

@Suite struct StoreTests {
    private let directory: TemporaryDirectory
    private let store: OllamaStore

    init() throws {
        directory = try TemporaryDirectory()
        store = OllamaStore("\(directory.path)/models")
    }

    /// A model of two small blobs.
    private func put(_ name: String, _ text: String = "weights") throws -> Artifact {
        let config = try store.put(Array("{}\n".utf8))
        let layer = try store.put(Array(text.utf8))
        let manifest = OllamaManifest(
            config: Descriptor(mediaType: MediaType.dockerConfig, digest: config.digest, size: config.size),
            layers: [Descriptor(mediaType: OllamaMediaType.model, digest: layer.digest, size: layer.size)])
        try store.publish(manifest.bytes, as: OllamaName(parsing: name), replaces: false)
        return layer
    }

    private func findings() async throws -> (fatal: [String], others: [String]) {
        let check = try await store.check(threads: 2, progress: SilentProgress())
        func texts(_ isFatal: Bool) -> [String] {
            check.findings.filter { $0.isFatal == isFatal }.map {
                $0.text.replacingOccurrences(of: store.path, with: "$S")
            }
        }
        return (texts(true), texts(false))
    }

    @Test func namesKeepTheSpellingTheyHave() throws {
        _ = try put("Acme/Granite:Q4")
        #expect(try store.spelled(OllamaName(parsing: "acme/granite:q4")).short == "Acme/Granite:Q4")
        #expect(try store.manifest(OllamaName(parsing: "acme/GRANITE:q4")) != nil)
        #expect(try store.manifest(OllamaName(parsing: "acme/granite:q5")) == nil)
        #expect(try store.spelled(OllamaName(parsing: "acme/other:Q5")).short == "Acme/other:Q5")
        #expect(try store.models().names.map(\.short) == ["Acme/Granite:Q4"])
    }

    @Test func aNameOfAnotherModelIsLeftAlone() throws {
        _ = try put("m", "one")
        _ = try put("m", "one")
        let error = #expect(throws: KapsuleError.self) { _ = try put("m", "two") }
        #expect(error?.code == .conflict)
        #expect(error?.id == "ollama.name-exists")
        try store.publish(Array("{}\n".utf8), as: OllamaName(parsing: "M"), replaces: true)
        #expect(try store.manifest(OllamaName(parsing: "m"))?.bytes == Array("{}\n".utf8))
        #expect(try store.models().names.count == 1)
    }

    @Test func modesAreOllamas() throws {
        let layer = try put("m")
        func mode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(try mode(store.path(of: layer.digest)) == 0o644)
        #expect(try mode(store.path + "/manifests/registry.ollama.ai/library/m/latest") == 0o644)
        #expect(try mode(store.path + "/blobs") == 0o755)
    }

    @Test func aWholeStoreHasNothingToSay() async throws {
        _ = try put("a", "one")
        _ = try put("ghcr.io/b/b:2", "two")
        let check = try await store.check(threads: 2, progress: SilentProgress())
        #expect(check.findings == [])
        #expect(check.models == 2)
        #expect(check.blobs == 3)
    }

    @Test func everyKindOfDamageIsNamed() async throws {
        let (damaged, missing, short) = (try put("a", "one"), try put("b", "two"), try put("c", "three"))
        try Data("eno".utf8).write(to: URL(fileURLWithPath: store.path(of: damaged.digest)))
        try FileManager.default.removeItem(atPath: store.path(of: missing.digest))
        try Data("thre".utf8).write(to: URL(fileURLWithPath: store.path(of: short.digest)))
        try directory.write("models/manifests/registry.ollama.ai/library/d/latest", "{not json")
        let found = try await findings()
        let broken = [damaged.digest, short.digest].sorted().map {
            "blob \($0) in $S is damaged: its content has another digest"
        }
        #expect(Array(found.fatal.prefix(2)) == broken)
        #expect(found.fatal.contains("b:latest is incomplete: blob \(missing.digest) is missing"))
        #expect(found.fatal.contains("c:latest is incomplete: blob \(short.digest) has another size than 5 bytes"))
        #expect(found.fatal.contains { $0.hasPrefix("d:latest cannot be read: ") })
        #expect(found.fatal.count == 5)
    }

    @Test func whatNobodyNeedsIsNamedAndNoDamage() async throws {
        _ = try put("a", "one")
        let dangling = try store.put(Array("nobody's".utf8))
        let hex = String(repeating: "ab", count: 32)
        try directory.write("models/blobs/sha256-\(hex)-partial", "half")
        try directory.write("models/blobs/sha256-\(hex)-partial-0", #"{"N":0,"Offset":0,"Size":4,"Completed":2}"#)
        try directory.write("models/blobs/notes.txt", "x")
        try directory.write("models/manifests/registry.ollama.ai/library/a/.DS_Store", "x")
        let found = try await findings()
        #expect(found.fatal == [])
        #expect(
            Set(found.others) == [
                "$S/manifests/registry.ollama.ai/library/a/.DS_Store is no manifest; because of it Ollama does not clean up",
                "$S/blobs/notes.txt is no blob; Ollama removes it when it starts",
                "$S/blobs/sha256-\(hex)-partial is part of a download that has not ended",
                "$S/blobs/sha256-\(hex)-partial-0 is part of a download that has not ended",
                "no model needs blob \(dangling.digest); Ollama removes it when it starts",
            ])
    }

    @Test func aDamagedBlobIsPutRight() throws {
        let text = Array("text".utf8)
        let blob = try store.put(text)
        try Data("txet".utf8).write(to: URL(fileURLWithPath: store.path(of: blob.digest)))
        #expect(try store.put(text) == blob)
        #expect(try Data(contentsOf: URL(fileURLWithPath: store.path(of: blob.digest))) == Data(text))
    }
}
