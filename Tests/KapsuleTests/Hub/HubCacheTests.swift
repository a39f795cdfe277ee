import Foundation
import TestSupport
import Testing

/// The cache of `huggingface_hub`, made by that program itself.
@Suite(.enabled(if: HubFixture.hasClient, "needs python3 with huggingface_hub")) struct HubCacheTests {
    /// Downloads `acme/m` with the hub's own client; gives the snapshot's directory.
    private func download(_ fixture: HubFixture, _ patterns: String = "None", revision: String = "main") throws
        -> String
    {
        let cache = "\(fixture.sandbox.path)/hf"
        fixture.sandbox.environment["HF_HUB_CACHE"] = cache
        let program = """
            import huggingface_hub
            print(huggingface_hub.snapshot_download("acme/m", revision="\(revision)", cache_dir="\(cache)", \
            endpoint="\(fixture.hub.endpoint)", allow_patterns=\(patterns), token=False))
            """
        let path = try TestProgram.pythonHub.check(["-c", program])
        return path.split(separator: "\n").last.map(String.init) ?? ""
    }

    @Test func filesOfTheCacheAreNotFetched() throws {
        let fixture = try HubFixture()
        _ = try download(fixture)
        try fixture.hub.forget()
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
        #expect(try fixture.hub.requests.map(\.path).allSatisfy { $0.hasPrefix("/api/models/") })
    }

    @Test func onlyWhatTheCacheLacksIsFetched() throws {
        let fixture = try HubFixture()
        _ = try download(fixture, #"["*.json", "*.safetensors"]"#)
        try fixture.hub.forget()
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
        let fetched = Set(
            try fixture.hub.requests.filter { $0.path.contains("/resolve/") }.compactMap {
                $0.path.split(separator: "/").last
            })
        #expect(fetched == ["LICENSE", "chat_template.jinja", "notes.txt", "run.sh"])
    }

    @Test(arguments: ["safetensors", "json"]) func aDamagedFileOfTheCacheIsFetched(_ kind: String) throws {
        let fixture = try HubFixture()
        let snapshot = try download(fixture)
        try Self.damage("\(snapshot)/\(kind == "json" ? "config.json" : "model.safetensors")")
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    @Test func offlineTheCacheIsAllThereIs() throws {
        let fixture = try HubFixture()
        _ = try download(fixture)
        let commit = try fixture.hub.commit("acme/m")
        try fixture.hub.forget()
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        for source in ["hf://acme/m", "hf://acme/m@\(commit)"] {
            let outcome = try fixture.build(source, into: "out-\(source.count)")
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try fixture.layers("out-\(source.count)") == fixture.layersOfDirectory())
        }
        #expect(try fixture.hub.requests.isEmpty)
    }

    @Test func offlineAPartOfAModelIsRefused() throws {
        let fixture = try HubFixture()
        _ = try download(fixture, #"["*.json"]"#)
        try fixture.hub.forget()
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("HF_HUB_OFFLINE is set, and the cache"))
        #expect(!fixture.isPublished("out"))
        for source in ["hf://acme/other", "hf://acme/m@v7"] {
            let outcome = try fixture.build(source, into: "other")
            #expect(outcome.status == 5)
            #expect(outcome.errors.contains("does not have"), "\(outcome.errors)")
        }
        #expect(try fixture.hub.requests.isEmpty)
    }

    @Test(arguments: ["safetensors", "json"]) func offlineADamagedFileIsRefused(_ kind: String) throws {
        let fixture = try HubFixture()
        let snapshot = try download(fixture)
        try Self.damage("\(snapshot)/\(kind == "json" ? "config.json" : "model.safetensors")")
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(!fixture.isPublished("out"))
    }

    @Test func aSnapshotIsADirectoryLikeAnother() throws {
        let fixture = try HubFixture()
        let snapshot = try download(fixture)
        try fixture.sandbox.directory.write("desk/c/Modelfile", "FROM \(snapshot)\n")
        try fixture.sandbox.done("build", "-q", "-o", "out", "c")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    /// Other links out of a directory stay refused, those of a snapshot too.
    @Test func linksOfASnapshotLeadToBlobsOnly() throws {
        let fixture = try HubFixture()
        let snapshot = try download(fixture)
        let secret = try fixture.sandbox.directory.write("hf/secret", "secret")
        try FileManager.default.createSymbolicLink(atPath: "\(snapshot)/leak.txt", withDestinationPath: secret)
        try fixture.sandbox.directory.write("desk/c/Modelfile", "FROM \(snapshot)\n")
        let outcome = try fixture.sandbox.start(["build", "-q", "-o", "out", "c"]).wait()
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("leak.txt is a link to"))
    }

    /// Flips one bit in the middle.
    private static func damage(_ path: String) throws {
        let url = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: url)
    }
}
