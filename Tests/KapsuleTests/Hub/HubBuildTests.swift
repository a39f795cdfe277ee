import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: HubFixture.isUsable, "needs python3 and curl")) struct HubBuildTests {
    @Test func aHubGivesTheLayersThatADirectoryGives() throws {
        let fixture = try HubFixture()
        let directory = try fixture.layersOfDirectory()
        var manifests: Set<String> = []
        for workers in ["1", "2", "8"] {
            let outcome = try fixture.build("hf://acme/m", ["--concurrency", workers], into: "out-\(workers)")
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try fixture.layers("out-\(workers)") == directory)
            manifests.insert(try EndToEnd.digest(in: outcome.output))
        }
        #expect(manifests.count == 1)
        let commit = try fixture.hub.commit("acme/m")
        let annotations = try #require(try fixture.manifest("out-1")["annotations"] as? [String: String])
        #expect(annotations["org.opencontainers.image.revision"] == commit)
        #expect(annotations["org.opencontainers.image.title"] == "acme/m")
        #expect(annotations["org.opencontainers.image.source"] == "\(fixture.hub.endpoint)/acme/m/tree/\(commit)")
    }

    @Test func aHubGivesTheVerityImageThatADirectoryGives() throws {
        let fixture = try HubFixture()
        let commit = try fixture.hub.commit("acme/m")
        let hub = try fixture.sandbox.done("build", "-q", "--format", "verity", "-o", "hub", "hf://acme/m@main")
        let modelfile = try fixture.sandbox.directory.write("desk/Modelfile.plain", "FROM .\n")
        let directory = try fixture.sandbox.done(
            "build", "-q", "--format", "verity", "-o", "directory", "--model-id", "acme/m@\(commit)", "-f", modelfile,
            "\(fixture.root.path)/acme/m")
        // Identity, salt and root hash: everything that a reference of such an image holds.
        #expect(hub == directory)
    }

    @Test(
        arguments: [
            "hf://acme/m", "huggingface://acme/m", "hf.co/acme/m", "huggingface.co/acme/m",
            "https://huggingface.co/acme/m",
            "hf://acme/m@main", "https://huggingface.co/acme/m/tree/main",
        ])
    func takesEverySpelling(_ source: String) throws {
        let fixture = try HubFixture([], HubFixture.tiny)
        let outcome = try fixture.build(source, into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    @Test func takesBranchesTagsCommitsAndPullRequests() throws {
        let fixture = try HubFixture(["--rename", "old/name=acme/m"]) { root in
            try HubFixture.tiny(root)
            for revision in ["v1", "feature%2Fx", "refs%2Fpr%2F1"] {
                try root.write("acme/m@\(revision)/config.json", "{\"revision\":\"\(revision)\"}")
            }
        }
        let commit = try fixture.hub.commit("acme/m", "v1")
        for (revision, name) in [
            ("v1", "v1"), ("feature/x", "feature%2Fx"), ("refs/pr/1", "refs%2Fpr%2F1"), (commit, "v1"),
        ] {
            let outcome = try fixture.build("hf://acme/m@\(revision)", into: "out-\(name)-\(revision.count)")
            #expect(outcome.status == 0, "\(revision): \(outcome.errors)")
            #expect(
                try fixture.layers("out-\(name)-\(revision.count)") == fixture.layersOfDirectory("acme/m@\(name)"))
        }
        let renamed = try fixture.build("hf://old/name", into: "renamed")
        #expect(renamed.status == 0, "\(renamed.errors)")
        #expect(try fixture.layers("renamed") == fixture.layersOfDirectory())
    }

    @Test(arguments: ["", "/a/b"]) func takesEndpointsWithPathsAndSlashes(_ prefix: String) throws {
        let fixture = try HubFixture(prefix.isEmpty ? [] : ["--prefix", prefix], HubFixture.tiny)
        fixture.sandbox.environment["HF_ENDPOINT"] = fixture.hub.endpoint + "//"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    @Test func takesFilesWithAnyName() throws {
        let names = [
            "with space.txt", "#hash.txt", "what?.txt", "%41.txt", "a+b.txt", "größe.txt", "モデル/重み.json",
            "ta;b&c=d.txt",
            "weights #1?.onnx", "%2e%2e.json", "plain.json",
        ]
        let fixture = try HubFixture { root in
            for (index, name) in names.enumerated() { try root.write("acme/m/\(name)", "content \(index)") }
        }
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    @Test func takesAllPagesOfTheListing() throws {
        let fixture = try HubFixture { root in
            for index in 0..<2500 { try root.write("acme/m/d\(index % 7)/file-\(index).json", "\(index)") }
        }
        let plan = try EndToEnd.object(try fixture.sandbox.done("plan", "--format", "json", "hf://acme/m"))
        let totals = try #require(plan["totals"] as? [String: Any])
        #expect(totals["files"] as? Int == 2500)
        #expect(try fixture.hub.requests.filter { $0.path.contains("/tree/") }.count == 3)
    }

    @Test func fetchesOnlyWhatIsWanted() throws {
        let fixture = try HubFixture()
        try fixture.sandbox.directory.write(
            "desk/m/Modelfile", "FROM hf://acme/m\nEXCLUDE *.safetensors\nEXCLUDE sub/\n")
        try fixture.sandbox.done("build", "-q", "-o", "out", "--exclude", "run.sh", "m")
        let asked = Set(
            try fixture.hub.requests.filter { $0.path.contains("/resolve/") }.compactMap {
                $0.path.split(separator: "/").last
            })
        #expect(asked == ["LICENSE", "chat_template.jinja", "config.json", "tokenizer.json"])
        #expect(try fixture.hub.requests.allSatisfy { $0.server == "hub" })
        let only = try fixture.build("hf://acme/m", ["--include", "config.json"], into: "only")
        #expect(only.status == 0, "\(only.errors)")
        #expect(try fixture.layers("only").count == 1)
    }

    /// The listing has the SHA-256 of large files; that of small ones is remembered by their git names.
    @Test func aSecondBuildFetchesNoFile() throws {
        let fixture = try HubFixture()
        let first = try fixture.sandbox.done("build", "-q", "-t", "m:1", "hf://acme/m")
        try fixture.hub.forget()
        let second = try fixture.sandbox.done("build", "-q", "-t", "m:2", "hf://acme/m")
        #expect(try EndToEnd.digest(in: first) == EndToEnd.digest(in: second))
        let requests = try fixture.hub.requests
        #expect(requests.count == 2)
        #expect(requests.allSatisfy { $0.path.hasPrefix("/api/models/") })
        try fixture.hub.forget()
        try fixture.sandbox.done("build", "-q", "--no-cache", "-t", "m:3", "hf://acme/m")
        #expect(try fixture.hub.requests.count > 10)
    }

    @Test(.enabled(if: EndToEnd.hasRegistry)) func aSecondPushFetchesNothingAndSendsNothing() throws {
        let fixture = try HubFixture()
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        try fixture.sandbox.done("build", "-q", "-t", "\(relay.host)/m:1", "hf://acme/m")
        relay.reset()
        try fixture.hub.forget()
        try fixture.sandbox.done("build", "-q", "-t", "\(relay.host)/m:2", "hf://acme/m")
        #expect(try fixture.hub.requests.count == 2)
        #expect(relay.up < 40_000)
    }

    /// A peer kept the old file: its key had no hash for small files.
    @Test func aSmallFileThatChangedUnderATagIsTheNewOne() throws {
        let fixture = try HubFixture([], HubFixture.tiny)
        _ = try fixture.build(into: "one")
        try fixture.root.write("acme/m/config.json", #"{"a":2}"#)
        try fixture.hub.reload()
        let outcome = try fixture.build(into: "two")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("two") == fixture.layersOfDirectory())
        #expect(try fixture.layers("one") != fixture.layers("two"))
    }

    /// A peer pushed the first model's weights under the second one's hashes.
    @Test func equalNamesAndSizesOfTwoModelsAreTwoModels() throws {
        let fixture = try HubFixture { root in
            try HubFixture.tiny(root)
            try root.write("acme/other/config.json", #"{"b":1}"#)
            try root.write("acme/other/model.safetensors", SampleModel.safetensors(200_000, seed: 33))
            try root.write("acme/other/tokenizer.json", SeededBytes.of(5000, seed: 34))
        }
        _ = try fixture.build("hf://acme/m", into: "one")
        _ = try fixture.build("hf://acme/other", into: "two")
        #expect(try fixture.layers("one") == fixture.layersOfDirectory())
        #expect(try fixture.layers("two") == fixture.layersOfDirectory("acme/other"))
    }

    @Test func theTokenReachesTheHubAndNobodyElse() throws {
        let fixture = try HubFixture(["--token", "hf_secret", "--require-token"])
        fixture.sandbox.environment["HF_TOKEN"] = "hf_secret"
        let outcome = try fixture.sandbox.start(["build", "--debug", "-o", "out", "hf://acme/m"]).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let requests = try fixture.hub.requests
        #expect(requests.contains { $0.server == "cdn" })
        for request in requests { #expect(request.hasToken == (request.server == "hub"), "\(request)") }
        #expect(!outcome.errors.contains("hf_secret"))
        #expect(!outcome.errors.contains("Signature="))
    }

    @Test func aLargeFileIsReadInRangesOverSeveralConnections() throws {
        let fixture = try HubFixture(["--max-single-get", "1000000"])
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let requests = try fixture.hub.requests.filter { $0.server == "cdn" }
        #expect(requests.allSatisfy { $0.status == 206 && $0.range != nil })
        // Pieces, each of them once; looks at the header apart.
        let pieces = requests.filter { $0.sent >= 100_000 }
        #expect(pieces.count >= 2)
        #expect(pieces.reduce(0) { $0 + $1.sent } == (16 << 20) + 100_000)
    }

    @Test func aDryRunSaysWhatWouldMove() throws {
        let fixture = try HubFixture([], HubFixture.tiny)
        let before = try fixture.sandbox.done("build", "--dry-run", "-t", "m:1", "hf://acme/m")
        #expect(
            before.hasSuffix(
                """
                FILE                   SIZE  STATE
                config.json             7 B  to fetch
                model.safetensors  195.3 KiB  to fetch
                tokenizer.json       4.9 KiB  to fetch

                3 of 3 files to fetch · 200.2 KiB
                """.replacingOccurrences(of: "config.json             7 B", with: "config.json              7 B")
                    .replacingOccurrences(of: "FILE                   SIZE", with: "FILE                    SIZE")),
            "\(before)")
        let commit = try fixture.hub.commit("acme/m")
        #expect(before.contains("hf://acme/m @ \(commit.prefix(12)) · 3 files"))
        #expect(try fixture.sandbox.done("ls", "-q") == "")
        try fixture.sandbox.done("build", "-q", "-t", "m:1", "hf://acme/m")
        let after = try fixture.sandbox.done("build", "--dry-run", "-t", "m:1", "hf://acme/m")
        #expect(after.contains("there already"))
        #expect(after.hasSuffix("0 of 3 files to fetch · 0 B"))
    }

    @Test func ofSeveralQuantisationsOneIsTaken() throws {
        let fixture = try HubFixture { root in
            for name in [
                "M-Q4_K_M.gguf", "M-Q8_0-00001-of-00002.gguf", "M-Q8_0-00002-of-00002.gguf", "mmproj-f16.gguf",
                "mmproj-f32.gguf",
            ] {
                try root.write("acme/m/\(name)", SeededBytes.of(1000, seed: UInt64(name.count)))
            }
            try root.write("acme/m/README.md", "readme")
            try root.write("acme/m/model.safetensors", SampleModel.safetensors(1000))
        }
        func files(_ source: String) throws -> Set<String> {
            let plan = try EndToEnd.object(try fixture.sandbox.done("plan", "--format", "json", source))
            let nodes = try #require(plan["nodes"] as? [[String: Any]])
            return Set(nodes.flatMap { ($0["files"] as? [[String: Any]] ?? []).compactMap { $0["path"] as? String } })
        }
        let one: Set = ["M-Q4_K_M.gguf", "mmproj-f16.gguf", "README.md"]
        #expect(try files("hf.co/acme/m:Q4_K_M") == one)
        #expect(try files("hf.co/acme/m") == one)
        #expect(try files("hf.co/acme/m:m-q4_k_m.gguf") == one)
        let two: Set = ["M-Q8_0-00001-of-00002.gguf", "M-Q8_0-00002-of-00002.gguf", "mmproj-f16.gguf", "README.md"]
        #expect(try files("hf.co/acme/m:q8_0") == two)
        #expect(try files("hf://acme/m:Q8_0") == two)
        #expect(try files("hf://acme/m").count == 7)
        let outcome = try fixture.sandbox.start(["build", "-t", "m:1", "hf.co/acme/m:Q5_K_M"]).wait()
        #expect(outcome.status == 5)
        #expect(
            outcome.errors.contains("it has F16, F32, Q4_K_M, Q8_0") || outcome.errors.contains("it has Q4_K_M, Q8_0"))
    }

    @Test func whatOllamaTakesFromFilesIsPartOfTheModel() throws {
        let fixture = try HubFixture { root in
            try root.write("acme/m/M-Q4_K_M.gguf", SeededBytes.of(1000, seed: 1))
            try root.write("acme/m/template", "{{ .Prompt }}")
            try root.write("acme/m/system", "Be terse.")
            try root.write("acme/m/params", #"{"stop":["<a>","<b>"],"temperature":0.5,"nonsense":1}"#)
        }
        let outcome = try fixture.sandbox.start(
            ["build", "--no-check", "-t", "m:1", "hf.co/acme/m"]
        ).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("params of acme/m sets 'nonsense', which is passed by"))
        try fixture.sandbox.done("export", "--format", "hf", "-o", "out", "m:1")
        let modelfile = String(decoding: try fixture.sandbox.directory.read("desk/out/Modelfile"), as: UTF8.self)
        #expect(
            modelfile == """
                FROM ./M-Q4_K_M.gguf
                TEMPLATE {{ .Prompt }}
                SYSTEM Be terse.
                PARAMETER stop <a>
                PARAMETER stop <b>
                PARAMETER temperature 0.5

                """, "\(modelfile)")
    }
}
