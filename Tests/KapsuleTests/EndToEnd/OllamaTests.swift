import Foundation
import Glibc
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// Models on their way into Ollama's store, and out of it.
@Suite struct OllamaTests {
    @Test(.enabled(if: TestProgram.pythonFormats.isUsable, "needs the Python package gguf"))
    func aStoreIsEqualToOneWrittenByTheRules() throws {
        let place = try OllamaPlace()
        let model = try place.context()
        let line = try place.sandbox.done("build", "--format", "ollama", "-t", "acme/tiny:q1", model)
        let description: [String: Any] = [
            "files": [
                ["model", "\(model)/tiny.gguf"], ["projector", "\(model)/vision.gguf"],
                ["adapter", "\(model)/lora.gguf"], ["draft", "\(model)/small.gguf"],
            ],
            "template": "{{ .System }} <|x|> & {{ .Prompt }}\n", "system": "You are \"terse\" & <fun>.",
            "licenses": ["MIT", "Second\nlicence"],
            "params": [
                "stop": ["<|im_end|>", "é "], "temperature": 0.7, "top_p": 1.0, "num_ctx": 1_000_000,
                "use_mmap": true,
            ],
            "messages": [["user", "Hi"], ["assistant", "Yo <b>"]], "renderer": "r", "parser": "p",
            "requires": "0.14.0",
        ]
        let json = "\(place.work)/model.json"
        try JSONSerialization.data(withJSONObject: description).write(to: URL(fileURLWithPath: json))
        let name = "registry.ollama.ai/acme/tiny/q1"
        let tool = TestProgram.directory + "/ollama_store.py"
        try TestProgram.pythonFormats.check([tool, "write", "\(place.work)/rules", name, json])
        #expect(try place.tree().differences(from: place.tree("rules")) == [])
        // Ten layers, a config and the manifest; no blob for what is left out.
        #expect(try place.tree().files.count == 12)
        let manifest = try place.bytes("\(place.models)/manifests/\(name)")
        #expect(line == "ollama:acme/tiny:q1@\(Digest.of(manifest))")
        #expect(
            try TestProgram.pythonFormats.check([tool, "open", place.models, name]).split(separator: "\n")
                == ["model llama 2", "projector clip 1", "adapter llama 2", "draft qwen3 2"])
    }

    @Test func aModelThatComesAndGoesStaysAsItIs() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let line = try sandbox.done("build", "--format", "ollama", "-t", "acme/tiny:q1", place.context())
        try sandbox.directory.write("desk/Modelfile", "FROM ollama://acme/tiny:q1\n")
        #expect(
            try sandbox.done("build", "-f", "Modelfile", "--verify", "-o", "type=ollama,dest=again,name=acme/tiny:q1")
                == line)
        #expect(try place.tree("again").differences(from: place.tree()) == [])

        // By way of an image of kapsule's own.
        try sandbox.done("build", "-t", "acme/tiny:q1", "ollama://acme/tiny:q1")
        #expect(try sandbox.done("export", "acme/tiny:q1", "--format", "ollama", "-o", "third") == line)
        #expect(try place.tree("third").differences(from: place.tree()) == [])

        // And as files.
        try sandbox.done("export", "ollama:acme/tiny:q1", "--format", "hf", "-o", "files")
        #expect(
            try FileTree("\(place.work)/files").files.filter { $0.hasSuffix(".gguf") }
                == ["adapter.gguf", "draft.gguf", "mmproj.gguf", "model.gguf"])
        #expect(try sandbox.done("build", "-o", "type=ollama,dest=fourth,name=acme/tiny:q1", "files") == line)
        #expect(try place.tree("fourth").differences(from: place.tree()) == [])
        #expect(sandbox.debris == [])
    }

    @Test(.enabled(if: EndToEnd.hasRegistry))
    func aModelGoesThroughARegistryInOllamasForm() throws {
        let place = try OllamaPlace()
        let registry = try ThrowawayRegistry()
        let sandbox = place.sandbox
        let line = try sandbox.done("build", "--format", "ollama", "-t", "tiny:q1", place.context())
        let digest = try EndToEnd.digest(in: line)
        let name = "\(registry.host)/library/tiny:q1"
        #expect(
            try sandbox.done("push", "ollama:tiny:q1", name) == "\(registry.host)/library/tiny@\(digest)")
        #expect(
            try place.bytes(registry.blob(digest))
                == place.bytes(
                    "\(place.models)/manifests/registry.ollama.ai/library/tiny/q1"))

        // A name with a host says where to push.
        let own = try sandbox.kapsule("push", "ollama:tiny:q1")
        #expect(own.status == 2)
        #expect(own.errors.contains("help: use 'ollama push tiny:q1', or name a registry: "), "\(own.errors)")
        try sandbox.done("build", "-o", "type=ollama,name=\(registry.host)/acme/tiny:q2", "\(place.work)/m")
        #expect(
            try sandbox.done("push", "ollama:\(registry.host)/acme/tiny:q2") == "\(registry.host)/acme/tiny@\(digest)")
        try FileManager.default.removeItem(atPath: "\(place.models)/manifests/\(registry.host)")

        // FROM an Ollama name, FROM an image's name, pull, and a bare name that only the registry has.
        for source in ["ollama://\(name)", "oci://\(name)", "http://\(name)"] {
            try sandbox.directory.write("desk/Modelfile", "FROM \(source)\n")
            let out = "type=ollama,dest=out-\(source.prefix(3)),name=tiny:q1"
            #expect(try sandbox.done("build", "-f", "Modelfile", "-o", out) == line)
            #expect(try place.tree("out-\(source.prefix(3))").differences(from: place.tree()) == [])
        }
        #expect(
            try sandbox.done("pull", "ollama://\(name)", "--format", "ollama")
                == "ollama:\(name)@\(digest)")
        #expect(try sandbox.done("inspect", "ollama:\(name)").contains("Digest:       \(digest)\n"))
        try FileManager.default.removeItem(atPath: place.models)
        try sandbox.directory.write("desk/Modelfile", "FROM \(registry.host)/library/tiny:q1\n")
        #expect(try sandbox.done("build", "-f", "Modelfile", "-o", "type=ollama,dest=bare,name=tiny:q1") == line)
        #expect(try sandbox.done("verify", "ollama://\(name)").hasSuffix("\(digest) is whole, 11 blobs"))
    }

    /// Ollama's registry: manifests are text/plain without a length, blobs are elsewhere.
    private func quirky(_ store: String, spoilt: Bool = false) throws -> LoopbackServer {
        let storage = try LoopbackServer { request in
            guard let digest = request.path.split(separator: "/").last, request["Authorization"] == nil,
                var bytes = try? [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(store)/blobs/\(digest)")))
            else { return .init(404) }
            if spoilt, bytes.count > 500 { bytes[bytes.count - 1] ^= 1 }
            return .init(200, [], bytes)
        }
        return try LoopbackServer { [storage] request in
            let parts = request.path.split(separator: "/").map(String.init)
            guard request.method == "GET", parts.count == 5, parts[0] == "v2", parts[1] == "library" else {
                return .init(request.method == "HEAD" ? 405 : 404)
            }
            if parts[3] == "manifests" {
                let path = "\(store)/manifests/registry.ollama.ai/library/\(parts[2])/\(parts[4])"
                guard let bytes = try? [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) else {
                    return .init(
                        404, [], Array(#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#.utf8))
                }
                return .init(200, ["Content-Type: text/plain; charset=utf-8"], bytes).with { $0.framing = .chunked }
            }
            let digest = parts[4].replacingOccurrences(of: ":", with: "-")
            return .init(307, ["Location: \(storage.base)/bucket/\(digest)"])
        }
    }

    @Test func aRegistryLikeOllamasIsReadAllTheSame() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let line = try sandbox.done("build", "--format", "ollama", "-t", "tiny:q1", place.context())
        let registry = try quirky(place.models)
        try FileManager.default.moveItem(atPath: place.models, toPath: "\(place.work)/theirs")
        let moved = try quirky("\(place.work)/theirs")
        #expect(
            try sandbox.done(
                "pull", "ollama://\(moved.host)/library/tiny:q1", "--format", "ollama", "--name", "tiny:q1")
                == line)
        #expect(try place.tree().differences(from: place.tree("theirs")) == [])

        let missing = try sandbox.kapsule("pull", "ollama://\(registry.host)/library/nothing", "--format", "ollama")
        #expect(missing.status == 5)
        #expect(missing.errors.contains("library/nothing:latest"), "\(missing.errors)")
    }

    @Test func bytesThatAreNotWhatWasPromisedGetNoName() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        try sandbox.done("build", "--format", "ollama", "-t", "tiny:q1", place.context())
        try FileManager.default.moveItem(atPath: place.models, toPath: "\(place.work)/theirs")
        let spoilt = try quirky("\(place.work)/theirs", spoilt: true)
        let outcome = try sandbox.kapsule(
            "pull", "ollama://\(spoilt.host)/library/tiny:q1", "--format", "ollama", "--name", "tiny:q1")
        #expect(outcome.status == 8)
        #expect(outcome.errors.contains("is not what its source promised"), "\(outcome.errors)")
        #expect((try? place.tree().files) ?? [] == [])
    }

    @Test(.enabled(if: EndToEnd.hasRegistry), arguments: [0, 1] as [UInt64])
    func aKilledPullGoesOnWhereItWas(_ seed: UInt64) throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        var large = GGUFBytes.sample()
        var random = SeededGenerator(seed: seed)
        large.data += random.bytes(20 << 20)
        let line = try sandbox.done(
            "build", "--format", "ollama", "-t", "large:1", place.context("FROM ./large.gguf\n", ["large.gguf": large]))
        try sandbox.done("push", "ollama:large:1", "\(relay.host)/library/large:1")
        try FileManager.default.moveItem(atPath: place.models, toPath: "\(place.work)/theirs")
        let pull = ["pull", "ollama://\(relay.host)/library/large:1", "--format", "ollama", "--name", "large:1"]

        relay.reset()
        let child = try sandbox.start(pull)
        let pid = child.pid
        relay.after(15 << 20, .down) { _ = Glibc.kill(pid, SIGKILL) }
        _ = try child.wait()
        relay.forget()
        #expect(try place.tree().files.allSatisfy { $0.hasPrefix("blobs/.kapsule-partial-") })
        let waiting = try #require(try place.tree().files.first)
        // Damage in what is left is noticed, and put right.
        if seed == 1 {
            var bytes = try place.bytes("\(place.models)/\(waiting)")
            bytes[bytes.count / 2] ^= 1
            try Data(bytes).write(to: URL(fileURLWithPath: "\(place.models)/\(waiting)"))
        }
        relay.reset()
        #expect(try sandbox.start(pull).wait().output == "\(line)\n")
        #expect(seed == 1 || relay.down < 12 << 20, "\(relay.down)")
        #expect(try place.tree().differences(from: place.tree("theirs")) == [])
        let status = try FileManager.default.attributesOfItem(atPath: place.blob(large.bytes))
        #expect(status[.posixPermissions] as? Int == 0o644)
        #expect(sandbox.debris == [])
    }

    @Test func aKilledBuildLeavesNothingThatIsWrong() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let seed = ProcessInfo.processInfo.environment["KAPSULE_TEST_SEED"].flatMap(UInt64.init) ?? 5
        var random = SeededGenerator(seed: seed)
        var large = GGUFBytes.sample()
        large.data += random.bytes(20 << 20)
        let model = try place.context("FROM ./large.gguf\nSYSTEM x\n", ["large.gguf": large])
        let command = ["build", "--format", "ollama", "-t", "large:1", model]
        for _ in 0..<6 {
            let child = try sandbox.start(command)
            _ = child.ends(within: .milliseconds(Int.random(in: 1...150, using: &random)))
            child.kill(SIGKILL)
            _ = try child.wait()
            guard FileManager.default.fileExists(atPath: "\(place.models)/manifests") else { continue }
            #expect(try sandbox.kapsule("verify", "ollama:").status == 0)
        }
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        try sandbox.done("verify", "ollama:")
        #expect(sandbox.debris == [])
    }

    // MARK: What is there already

    @Test func aBlobThatIsThereIsNotWrittenAgainAndADamagedOneIs() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let model = try place.context()
        let weights = GGUFBytes.sample().bytes
        let blob = place.blob(weights)
        try sandbox.done("build", "--format", "ollama", "-t", "tiny:1", model)
        let first = try place.inode(blob)
        try sandbox.directory.write("desk/m/Modelfile", "FROM ./tiny.gguf\nSYSTEM other\n")
        try sandbox.done("build", "--format", "ollama", "-t", "tiny:2", model)
        #expect(try place.inode(blob) == first)

        var damaged = weights
        damaged[damaged.count - 1] ^= 1
        try FileManager.default.removeItem(atPath: blob)
        try Data(damaged).write(to: URL(fileURLWithPath: blob))
        try sandbox.done("build", "--format", "ollama", "-t", "tiny:3", model)
        #expect(try place.bytes(blob) == weights)
        #expect(try sandbox.done("verify", "ollama:").hasPrefix("\(place.models): 3 models are whole, "))
        #expect(sandbox.debris == [])
    }

    @Test func aNameOfAnotherModelIsTakenOnlyByForce() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let model = try place.context("FROM ./tiny.gguf\n")
        try sandbox.done("build", "--format", "ollama", "-t", "tiny", model)
        let before = try place.bytes("\(place.models)/manifests/registry.ollama.ai/library/tiny/latest")
        try sandbox.directory.write("desk/m/Modelfile", "FROM ./tiny.gguf\nSYSTEM other\n")
        let refused = try sandbox.kapsule("build", "--format", "ollama", "-t", "tiny", model)
        #expect(refused.status == 6)
        #expect(
            sandbox.shown(refused.errors).contains(
                "error: tiny:latest exists in $DIR/desk/models and is another model ("), "\(refused.errors)")
        #expect(try place.bytes("\(place.models)/manifests/registry.ollama.ai/library/tiny/latest") == before)
        try sandbox.done("build", "--format", "ollama", "--force", "-t", "tiny", model)
        #expect(try place.bytes("\(place.models)/manifests/registry.ollama.ai/library/tiny/latest") != before)
    }

    @Test func pathsGoBeforeKapsulesStoreAndThatBeforeOllamas() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        func system(_ text: String) -> String { "FROM ./tiny.gguf\nSYSTEM \(text)\n" }
        let model = try place.context(system("ollama"))
        try sandbox.done("build", "--format", "ollama", "-t", "thing", model)
        func seen() throws -> String {
            try sandbox.directory.write("desk/Modelfile", "FROM thing\n")
            try sandbox.done("build", "-f", "Modelfile", "--force", "-o", "type=ollama,dest=out,name=x")
            let manifest = try EndToEnd.object(
                String(
                    decoding: place.bytes("\(place.work)/out/manifests/registry.ollama.ai/library/x/latest"),
                    as: UTF8.self))
            let layers = try #require(manifest["layers"] as? [[String: Any]])
            let layer = layers.first { ($0["mediaType"] as? String)?.hasSuffix(".system") == true }
            guard let digest = layer?["digest"] as? String else { return "" }
            let name = digest.replacingOccurrences(of: ":", with: "-")
            return String(decoding: try place.bytes("\(place.work)/out/blobs/\(name)"), as: UTF8.self)
        }
        #expect(try seen() == "ollama")
        try sandbox.directory.write("desk/m/Modelfile", system("kapsule"))
        try sandbox.done("build", "-t", "thing", model)
        #expect(try seen() == "kapsule")
        _ = try sandbox.context("thing") { path in
            try Data(GGUFBytes.sample().bytes).write(to: URL(fileURLWithPath: "\(path)/t.gguf"))
        }
        #expect(try seen() == "")
    }

    @Test func severalOutputsAreOfOneReadAndOneMayFail() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let model = try place.context()
        let outputs = ["-o", "type=ollama", "-o", "type=oci,dest=layout", "-o", "type=hf,dest=files"]
        let lines = try sandbox.start(["build", "-t", "tiny:1"] + outputs + [model]).wait()
        #expect(lines.status == 0, "\(lines.errors)")
        let alone = try sandbox.done("build", "-t", "tiny:1", "-o", "type=ollama,dest=alone", model)
        #expect(lines.output.split(separator: "\n").first.map(String.init) == alone)
        #expect(try place.tree().differences(from: place.tree("alone")) == [])
        #expect(
            try sandbox.done("export", "oci:layout:1", "--format", "ollama", "--name", "tiny:1", "-o", "of") == alone)

        try sandbox.directory.write("desk/m/Modelfile", "FROM ./tiny.gguf\n")
        let partly = try sandbox.start(
            ["build", "-t", "tiny:1", "-o", "type=ollama", "-o", "type=oci,dest=second", model]).wait()
        #expect(partly.status == 7)
        #expect(partly.errors.contains("ollama → tiny:1 failed: tiny:1 exists in "), "\(partly.errors)")
        #expect(partly.output.hasPrefix("oci:second@sha256:"))
        #expect(try place.tree().files.filter { $0.hasPrefix("manifests/") }.count == 1)
    }

    @Test func whatIsNoModelGetsNoName() throws {
        let place = try OllamaPlace()
        var cut = GGUFBytes.sample()
        cut.data.removeLast(100)
        let model = try place.context("FROM ./cut.gguf\n", ["cut.gguf": cut])
        let outcome = try place.sandbox.kapsule("build", "--no-check", "--format", "ollama", "-t", "x", model)
        #expect(outcome.status == 8)
        #expect(outcome.errors.contains("cut.gguf ends at byte"), "\(outcome.errors)")
        #expect((try? place.tree().files) ?? [] == [])
    }

    @Test func aBareNameThatIsNothingHereIsAskedForAndSaidSo() throws {
        let place = try OllamaPlace()
        let server = try quirky(place.models)
        func outcome(_ from: String) throws -> Child.Outcome {
            try place.sandbox.directory.write("desk/Modelfile", "FROM \(from)\n")
            return try place.sandbox.kapsule("build", "-f", "Modelfile", "-t", "x")
        }
        let unknown = try outcome("\(server.host)/library/nothing:1")
        #expect(unknown.status == 2)
        #expect(
            unknown.errors.contains(
                "nothing:1' is neither a file or directory of the context \(place.work), nor an image of the local store, nor a model of Ollama's"
            ), "\(unknown.errors)")
        #expect(server.requests.map(\.path) == ["/v2/", "/v2/library/nothing/manifests/1"])

        let offline = try outcome("no-such-host.invalid/library/m:1")
        #expect(offline.status == 5)
        #expect(
            offline.errors.contains(
                "'no-such-host.invalid/library/m:1' is nothing on this machine, and no-such-host.invalid cannot be asked for it: "
            ),
            "\(offline.errors)")
    }

    // MARK: Refusals

    struct Refusal: CustomTestStringConvertible {
        let testDescription: String
        let modelfile: String
        var files: [String: GGUFBytes] = ["a.gguf": .sample()]
        var arguments = ["-t", "x"]
        let error: String
        let help: String
    }

    private static var part: GGUFBytes {
        var file = GGUFBytes.sample()
        file.add("split.count", UInt32(2))
        file.add("split.no", UInt32(0))
        return file
    }

    static let refusals = [
        Refusal(
            testDescription: "no GGUF", modelfile: "FROM .\n", files: ["a.safetensors": GGUFBytes().lying],
            arguments: ["-t", "x", "--no-check"],
            error: "Ollama keeps models as GGUF files, and this one has none; its weights are in a.safetensors",
            help: "convert it with llama.cpp's convert_hf_to_gguf.py, and write FROM ./MODEL.gguf"),
        Refusal(
            testDescription: "two models", modelfile: "FROM .\n", files: ["a.gguf": .sample(), "b.gguf": .sample()],
            error: "Ollama takes one model, and there are 2: a.gguf, b.gguf",
            help: "name one file in FROM, or leave the others out with EXCLUDE"),
        Refusal(
            testDescription: "a part", modelfile: "FROM .\n", files: ["a-00001-of-00002.gguf": part],
            error: "a-*-of-00002.gguf is a model in 2 parts, and 1 of them is here",
            help: "name all of them in FROM, or their directory, and leave none out"),
        Refusal(
            testDescription: "a part of another name", modelfile: "FROM .\n", files: ["a.gguf": part],
            error: "a.gguf says that it is one part of a model in several, and its name does not",
            help: "give the parts the names that llama.cpp gave them: NAME-00001-of-00003.gguf"),
        Refusal(
            testDescription: "only an adapter", modelfile: "FROM .\n",
            files: ["a.gguf": OllamaPlace.files["lora.gguf"] ?? .sample()],
            error: "none of the GGUF files is a model, and Ollama wants one",
            help: "add the model's own file with FROM ./MODEL.gguf"),
        Refusal(
            testDescription: "an adapter that is no GGUF", modelfile: "FROM ./a.gguf\nADAPTER ./lora.bin\n",
            files: ["a.gguf": .sample(), "lora.bin": GGUFBytes().lying], arguments: ["-t", "x", "--no-check"],
            error: "Ollama keeps adapters and drafts as GGUF files, and ADAPTER lora.bin is none",
            help: "convert it with llama.cpp's convert_lora_to_gguf.py"),
        Refusal(
            testDescription: "no name", modelfile: "FROM ./a.gguf\n", arguments: [],
            error: "a model in Ollama's store has a name, and none is given",
            help: "give it one: --tag NAME with build, --name NAME with pull and export"),
        Refusal(
            testDescription: "a name that Ollama cannot have", modelfile: "FROM ./a.gguf\n",
            arguments: ["-t", "ghcr.io/a/b/c:1"], error: "Ollama cannot have a model called 'ghcr.io/a/b/c:1'",
            help:
                "give it another name there: --output type=ollama,name=NAME with build, --name NAME with pull and export"
        ),
    ]

    @Test(arguments: refusals)
    func whatOllamaCannotHoldIsRefusedBeforeAnythingIsMade(_ refusal: Refusal) throws {
        let place = try OllamaPlace()
        let model = try place.context(refusal.modelfile, refusal.files)
        let outcome = try place.sandbox.start(["build", "--format", "ollama", model] + refusal.arguments).wait()
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("error: \(refusal.error)\n"), "\(outcome.errors)")
        #expect(outcome.errors.contains("help: \(refusal.help)\n"), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: place.models))
    }

    @Test func whatIsLeftOutIsSaid() throws {
        let place = try OllamaPlace()
        let outcome = try place.sandbox.kapsule(
            "build", "--format", "ollama", "-t", "x", try place.context("FROM .\n", ["a.gguf": .sample()]))
        #expect(outcome.status == 0)
        #expect(
            outcome.errors.contains(
                "note: ollama → x:latest: Ollama keeps GGUF files and what the Modelfile says; left out: config.json\n"),
            "\(outcome.errors)")
    }

    // MARK: Looking

    @Test func aModelIsDescribed() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let line = try sandbox.done("build", "--format", "ollama", "-t", "acme/tiny:q1", place.context())
        let digest = try EndToEnd.digest(in: line)
        let text = try sandbox.done("inspect", "ollama:acme/tiny:q1")
        #expect(text == (try sandbox.done("inspect", line)))
        #expect(
            text.hasPrefix(
                """
                Name:         ollama:acme/tiny:q1
                Digest:       \(digest)
                Kind:         Ollama model
                Size:         4.1 KiB in 10 layers
                Family:       llama
                Parameters:   192
                Quantisation: F16
                Renderer:     r
                Parser:       p
                Requires:     0.14.0
                Layers:
                """), "\(text)")
        #expect(text.contains("\n  num_ctx 1000000\n"))
        let json = try EndToEnd.object(try sandbox.done("inspect", "--json", "ollama:ACME/tiny:q1"))
        #expect(json["family"] as? String == "llama")
        #expect((json["layers"] as? [Any])?.count == 10)

        let other = try sandbox.kapsule("inspect", "ollama:acme/tiny:q1@sha256:\(String(repeating: "0", count: 64))")
        #expect(other.status == 8)
        let missing = try sandbox.kapsule("push", "ollama:acme/tiny:q2", "localhost:1/a/b")
        #expect(missing.status == 2)
        #expect(missing.errors.contains("help: did you mean acme/tiny:q1?"), "\(missing.errors)")
    }

    @Test func aStoreIsVerifiedByItsPathAndDamageIsFound() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        try sandbox.done("build", "--format", "ollama", "-t", "tiny", place.context("FROM ./tiny.gguf\n"))
        #expect(try sandbox.done("verify", "models") == "models: 1 model is whole, 2 blobs")
        #expect(try sandbox.done("verify", "ollama:tiny").hasSuffix(" is whole, 2 blobs"))
        var bytes = GGUFBytes.sample().bytes
        let blob = place.blob(bytes)
        bytes[100] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: blob))
        for arguments in [["verify", "models"], ["verify", "ollama:"], ["verify", "ollama:tiny"]] {
            let outcome = try sandbox.start(arguments).wait()
            #expect(outcome.status == 8, "\(arguments) \(outcome.errors)")
        }
        try FileManager.default.removeItem(atPath: blob)
        let outcome = try sandbox.kapsule("verify", "models")
        #expect(outcome.status == 8)
        #expect(outcome.errors.contains("tiny:latest is incomplete: blob sha256:"), "\(outcome.errors)")
    }
}

extension GGUFBytes {
    /// The same under another magic.
    fileprivate var lying: GGUFBytes {
        var file = self
        file.magic = Array("FUGG".utf8)
        return file
    }
}
