import Foundation
import TestSupport
import Testing

/// The cache of `huggingface_hub`, made by that program itself.
@Suite(.enabled(if: HubFixture.hasClient, "needs python3 with huggingface_hub")) struct HubCacheTests {
    @Test func filesOfTheCacheAreNotFetched() throws {
        let fixture = try HubFixture()
        _ = try fixture.download()
        try fixture.hub.forget()
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
        #expect(try fixture.hub.requests.map(\.path).allSatisfy { $0.hasPrefix("/api/models/") })
    }

    @Test func onlyWhatTheCacheLacksIsFetched() throws {
        let fixture = try HubFixture()
        _ = try fixture.download(#"["*.json", "*.safetensors"]"#)
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
        let snapshot = try fixture.download()
        try Self.damage("\(snapshot)/\(kind == "json" ? "config.json" : "model.safetensors")")
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    /// The header is read before anything is hashed.
    @Test func aFileOfTheCacheWithADamagedHeaderIsFetched() throws {
        let fixture = try HubFixture()
        let snapshot = try fixture.download()
        let url = URL(fileURLWithPath: "\(snapshot)/model.safetensors").resolvingSymlinksInPath()
        var bytes = try Data(contentsOf: url)
        bytes[3] ^= 0x40
        try bytes.write(to: url)
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    @Test func offlineTheCacheIsAllThereIs() throws {
        let fixture = try HubFixture()
        _ = try fixture.download()
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
        _ = try fixture.download(#"["*.json"]"#)
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
        let snapshot = try fixture.download()
        try Self.damage("\(snapshot)/\(kind == "json" ? "config.json" : "model.safetensors")")
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(!fixture.isPublished("out"))
    }

    /// What asks for one file after the other writes no list of all of them; older clients wrote none at all.
    @Test func offlineASnapshotWithoutAListIsTakenForWhatItHas() throws {
        let fixture = try HubFixture()
        try fixture.downloadEach()
        try #require(!FileManager.default.fileExists(atPath: "\(fixture.hubCache)/models--acme--m/trees"))
        try fixture.hub.forget()
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.sandbox.start(["build", "-o", "out", "hf://acme/m"]).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("note: the hub's cache has no list of the files of acme/m"))
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
        #expect(try fixture.hub.requests.isEmpty)
    }

    /// Its links name what they lead to, so all of it is still checked.
    @Test(arguments: ["model.safetensors", "config.json", "LICENSE"])
    func offlineADamagedFileOfASnapshotWithoutAListIsRefused(_ file: String) throws {
        let fixture = try HubFixture()
        let snapshot = try fixture.downloadEach()
        try Self.damage("\(snapshot)/\(file)")
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(outcome.errors.contains(file))
        #expect(!fixture.isPublished("out"))
    }

    @Test func offlineASnapshotOfSmallFilesAloneIsRefused() throws {
        let fixture = try HubFixture()
        try fixture.downloadEach { !$0.hasSuffix(".safetensors") }
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("has no weights of acme/m"), "\(outcome.errors)")
        #expect(!fixture.isPublished("out"))
    }

    /// A cache on a file system without links holds copies, and nothing in it says what they should be.
    @Test func offlineAFileThatIsNoLinkIsNotBelieved() throws {
        let fixture = try HubFixture()
        let snapshot = try fixture.downloadEach()
        let file = "\(snapshot)/config.json"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        try FileManager.default.removeItem(atPath: file)
        try bytes.write(to: URL(fileURLWithPath: file))
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("nothing in the cache proves"), "\(outcome.errors)")
        try fixture.sandbox.directory.write("desk/c/Modelfile", "FROM \(snapshot)\n")
        try fixture.sandbox.done("build", "-q", "-o", "named", "c")
        #expect(try fixture.layers("named") == fixture.layersOfDirectory())
    }

    /// `type=hf-cache` and offline: there and back, by kapsule and by the hub's own client.
    @Test func offlineACacheThatKapsuleWroteIsASource() throws {
        let fixture = try HubFixture()
        fixture.sandbox.environment["HF_HUB_CACHE"] = fixture.hubCache
        try fixture.sandbox.done("build", "-q", "-o", "type=hf-cache", "hf://acme/m")
        let commit = try fixture.hub.commit("acme/m")
        let online = try fixture.build(into: "online")
        try fixture.hub.forget()
        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        for source in ["hf://acme/m", "hf://acme/m@main", "hf://acme/m@\(commit)"] {
            let name = "out-\(source.count)"
            let outcome = try fixture.build(source, into: name)
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try EndToEnd.digest(in: outcome.output) == EndToEnd.digest(in: online.output))
        }
        #expect(try fixture.hub.requests.isEmpty)
        let found = try TestProgram.pythonHub.check([
            "-c",
            "import os; os.environ['HF_HUB_OFFLINE'] = '1'; import huggingface_hub as hub; "
                + "print(hub.snapshot_download('acme/m', cache_dir='\(fixture.hubCache)'))",
        ])
        #expect(found.hasSuffix("snapshots/\(commit)\n"))
    }

    @Test func aSnapshotIsADirectoryLikeAnother() throws {
        let fixture = try HubFixture()
        let snapshot = try fixture.download()
        try fixture.sandbox.directory.write("desk/c/Modelfile", "FROM \(snapshot)\n")
        try fixture.sandbox.done("build", "-q", "-o", "out", "c")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    /// Other links out of a directory stay refused, those of a snapshot too.
    @Test func linksOfASnapshotLeadToBlobsOnly() throws {
        let fixture = try HubFixture()
        let snapshot = try fixture.download()
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

extension HubFixture {
    var hubCache: String { "\(sandbox.path)/hf" }

    /// Downloads `acme/m` with the hub's own client; gives the snapshot's directory.
    @discardableResult
    func download(_ patterns: String = "None", revision: String = "main") throws -> String {
        sandbox.environment["HF_HUB_CACHE"] = hubCache
        let program = """
            import huggingface_hub
            print(huggingface_hub.snapshot_download("acme/m", revision="\(revision)", cache_dir="\(hubCache)", \
            endpoint="\(hub.endpoint)", allow_patterns=\(patterns), token=False))
            """
        let path = try TestProgram.pythonHub.check(["-c", program])
        return path.split(separator: "\n").last.map(String.init) ?? ""
    }

    /// The same, one file after the other.
    @discardableResult
    func downloadEach(where isWanted: (String) -> Bool = { _ in true }) throws -> String {
        sandbox.environment["HF_HUB_CACHE"] = hubCache
        let names = try FileTree("\(root.path)/acme/m").files.filter(isWanted)
        let program = """
            import huggingface_hub, sys
            for name in sys.argv[1:]:
                huggingface_hub.hf_hub_download("acme/m", name, cache_dir="\(hubCache)", endpoint="\(hub.endpoint)", token=False)
            """
        _ = try TestProgram.pythonHub.check(["-c", program] + names)
        return "\(hubCache)/models--acme--m/snapshots/\(try hub.commit("acme/m"))"
    }
}
