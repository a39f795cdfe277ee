import Foundation
import TestSupport
import Testing

/// ModelPacks, universal images, and models in the images of other tools.
@Suite struct ModelPackTests {
    private static let readers = TestProgram.pythonArtifacts

    private func model(_ sandbox: Sandbox, _ name: String = "m") throws -> String {
        try sandbox.context(name, modelfile: "FROM .\nPARAMETER temperature 0.5\n") { try SampleModel.writeFew(to: $0) }
    }

    private func manifest(_ sandbox: Sandbox, _ digest: String, of layout: String) throws -> [String: Any] {
        let path = "\(sandbox.path)/desk/\(layout)/blobs/sha256/\(digest.replacingOccurrences(of: "sha256:", with: ""))"
        return try EndToEnd.object(String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self))
    }

    private func layers(_ manifest: [String: Any]) throws -> [[String: Any]] {
        try #require(manifest["layers"] as? [[String: Any]])
    }

    private func isModel(_ sandbox: Sandbox, _ out: String, _ model: String) throws -> Bool {
        try FileTree("\(sandbox.path)/desk/\(out)").differences(from: FileTree(model)) == []
    }

    // MARK: ModelPacks

    @Test func aLayerIsAFileAsItIs() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let digest = try EndToEnd.digest(in: try sandbox.done("build", "--format", "modelpack", "-o", "mp", model))
        let manifest = try manifest(sandbox, digest, of: "mp")
        #expect(manifest["artifactType"] as? String == "application/vnd.cncf.model.manifest.v1+json")
        let config = try #require(manifest["config"] as? [String: Any])
        #expect(config["mediaType"] as? String == "application/vnd.cncf.model.config.v1+json")
        let described = try layers(manifest).map { layer -> String in
            let annotations = try #require(layer["annotations"] as? [String: String])
            let type = (layer["mediaType"] as? String ?? "").replacingOccurrences(
                of: "application/vnd.cncf.model.", with: "")
            let metadata = try EndToEnd.object(annotations["org.cncf.model.file.metadata+json"] ?? "")
            #expect(metadata["size"] as? Int == layer["size"] as? Int)
            #expect(metadata["typeflag"] as? Int == 0)
            let path = annotations["org.cncf.model.filepath"] ?? ""
            #expect(annotations["org.opencontainers.image.title"] == path)
            if path != "Modelfile" {
                let hash = try sandbox.tool("sha256sum", ["\(model)/\(path)"]).prefix(64)
                #expect(layer["digest"] as? String == "sha256:\(hash)", "a blob's digest is the file's own: \(path)")
            }
            return
                "\(type) \(path) \(String(metadata["mode"] as? Int ?? 0, radix: 8)) \(annotations["org.cncf.model.file.mediatype.untested"] ?? "")"
        }
        #expect(
            described == [
                "weight.config.v1.raw Modelfile 644 false", "weight.config.v1.raw config.json 644 false",
                "weight.config.v1.raw sub/notes.txt 644 false", "weight.config.v1.raw tokenizer.json 644 false",
                "weight.v1.raw model.safetensors 644 false", "code.v1.raw run.sh 755 false",
            ])
    }

    @Test(arguments: [
        ("raw", [String](), ".v1.raw"), ("tar", [], ".v1.tar"), ("tar", ["--compression", "gzip"], ".v1.tar+gzip"),
    ])
    func thereAndBackAgainGivesEqualBytes(_ form: String, _ flags: [String], _ ending: String) throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let image = try EndToEnd.digest(in: try sandbox.done("build", "-t", "image:1", model))
        func output(_ name: String) -> [String] {
            ["build", "--output", "type=modelpack,dest=\(name),layout=\(form)"] + flags
        }
        let first = try sandbox.start(output("one") + [model]).wait()
        #expect(first.status == 0, "\(first.errors)")
        let digest = try EndToEnd.digest(in: String(first.output.dropLast()))
        #expect(
            try layers(manifest(sandbox, digest, of: "one")).allSatisfy {
                ($0["mediaType"] as? String)?.hasSuffix(ending) == true
            })
        let second = try sandbox.start(output("two") + ["oci:one"]).wait()
        #expect(second.status == 0, "\(second.errors)")
        #expect(try EndToEnd.digest(in: String(second.output.dropLast())) == digest)
        // Across the kinds: what one is made of does not show.
        #expect(try EndToEnd.digest(in: try sandbox.done("build", "-t", "back:1", "oci:one")) == image)
        let third = try sandbox.start(output("three") + ["oci:one"]).wait()
        #expect(try EndToEnd.digest(in: String(third.output.dropLast())) == digest)
        try sandbox.done("export", "oci:one", "--format", "hf", "-o", "out")
        #expect(try isModel(sandbox, "out", model))
        try sandbox.done("verify", "oci:one")
    }

    @Test(.enabled(if: readers.isUsable && EndToEnd.hasReaders, "oras and olot, or other readers, are missing"))
    func clientsOfOthersReadIt() throws {
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let image = "\(registry.host)/acme/mp:1"
        let tool = "\(TestProgram.directory)/modelpack_reader.py"
        try sandbox.done("build", "--format", "modelpack", "-t", image, model)
        try sandbox.done("pull", "-o", "mp", image)
        let read = try EndToEnd.object(try Self.readers.check([tool, "layout", "\(sandbox.path)/desk/mp"]))
        #expect((read["modelpacks"] as? [Any])?.count == 1)
        try Self.readers.check([tool, "pull", image, "\(sandbox.path)/desk/by-oras"])
        // oras knows no modes.
        let byOras = try FileTree("\(sandbox.path)/desk/by-oras")
        #expect(try byOras.differences(from: FileTree(model)) == ["other mode: run.sh"])
        // Layers that the registry has are not sent again: their digests are known before they are read.
        try sandbox.done("pull", "--format", "hf", "-o", "by-kapsule", image)
        #expect(try isModel(sandbox, "by-kapsule", model))
        let again = try sandbox.kapsule(
            "build", "--debug", "--format", "modelpack", "-t", "\(registry.host)/acme/mp:2", model)
        #expect(again.status == 0)
        #expect(!again.errors.contains("PATCH") && !again.errors.contains("POST"), "\(again.errors)")
        try sandbox.skopeo("copy", "docker://\(image)", "oci:copied:1")
        try sandbox.done("verify", "oci:copied:1")
    }

    @Test func anEncryptedOneIsOpenedByUsAndBySkopeo() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let image = "\(registry.host)/mp:1"
        try sandbox.done("keygen", "--bits", "2048", "-o", "key")
        let plain = try EndToEnd.digest(in: try sandbox.done("build", "--format", "modelpack", "-o", "plain", model))
        try sandbox.done("build", "--format", "modelpack", "--encryption-key", "key.pub.pem", "-t", image, model)
        #expect(try sandbox.kapsule("pull", "--format", "hf", "-o", "closed", image).status == 9)
        try sandbox.done("pull", "--format", "hf", "-o", "open", "--decryption-key", "key.pem", image)
        #expect(try isModel(sandbox, "open", model))
        try sandbox.done("pull", "-o", "opened", "--decryption-key", "key.pem", image)
        try sandbox.skopeo("copy", "--decryption-key", "key.pem", "docker://\(image)", "oci:by-skopeo:1")
        let wanted = try layers(manifest(sandbox, plain, of: "plain")).map {
            "\($0["digest"] ?? "") \($0["mediaType"] ?? "")"
        }
        for layout in ["oci:opened:1", "oci:by-skopeo:1"] {
            let digest = try EndToEnd.object(try sandbox.done("inspect", "--json", layout))["digest"] as? String ?? ""
            let got = try layers(manifest(sandbox, digest, of: String(layout.dropFirst(4).dropLast(2))))
            #expect(got.map { "\($0["digest"] ?? "") \($0["mediaType"] ?? "")" } == wanted, "\(layout)")
        }
        // On the way from place to place, too.
        try sandbox.done("export", "oci:plain", "--encryption-key", "key.pub.pem", "-o", "locked")
        try sandbox.done("build", "--decryption-key", "key.pem", "--format", "modelpack", "-o", "again", "oci:locked")
        try sandbox.done("export", "oci:locked", "--decryption-key", "key.pem", "--format", "hf", "-o", "rebuilt")
        #expect(try isModel(sandbox, "rebuilt", model))
    }

    // MARK: Universal images

    @Test func aUniversalImageIsBothAndStoresNothingTwice() throws {
        guard EndToEnd.hasReaders else { return }
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        let image = try EndToEnd.digest(in: try sandbox.done("build", "-t", "u:1", "-o", "image", model))
        let universal = try EndToEnd.digest(
            in: try sandbox.done("build", "--format", "universal", "-t", "u:1", "-o", "both", model))
        let index = try manifest(sandbox, universal, of: "both")
        let entries = try #require(index["manifests"] as? [[String: Any]])
        #expect(entries.count == 2)
        let halves = try entries.map { try manifest(sandbox, $0["digest"] as? String ?? "", of: "both") }
        #expect(
            try layers(halves[0]).map { $0["digest"] as? String } == layers(halves[1]).map { $0["digest"] as? String })
        #expect(halves[1]["artifactType"] as? String == "application/vnd.cncf.model.manifest.v1+json")
        #expect(
            try layers(halves[1]).map { $0["mediaType"] as? String } == [
                "application/vnd.cncf.model.weight.config.v1.tar", "application/vnd.cncf.model.weight.v1.tar",
                "application/vnd.cncf.model.weight.config.v1.tar",
            ])
        // The image half is the image, layer for layer.
        #expect(entries[0]["digest"] as? String == image)

        // Both halves arrive as they are; skopeo 1.9 leaves a word out of the index over them.
        try sandbox.skopeo("copy", "--all", "--dest-oci-accept-uncompressed-layers", "oci:both:1", "oci:all:1")
        try sandbox.done("verify", "oci:all")
        let copied = try EndToEnd.object(try sandbox.skopeo("inspect", "--raw", "oci:all:1"))
        #expect(
            (copied["manifests"] as? [[String: Any]])?.map { $0["digest"] as? String }
                == entries.map { $0["digest"] as? String })
        let blobs = { (layout: String) in try FileTree("\(sandbox.path)/desk/\(layout)/blobs").files.count }
        #expect(try blobs("all") == blobs("both"))
        try sandbox.skopeo("copy", "oci:both:1", "oci:half:1")
        let unpacked = try sandbox.unpackedByUmoci("\(sandbox.path)/desk/half", tag: "1")
        #expect(try FileTree("\(unpacked)/models").differences(from: FileTree(model)) == [])
        try sandbox.done("export", "oci:both:1", "--format", "hf", "-o", "out")
        #expect(try isModel(sandbox, "out", model))
        // Its other half, named by digest, is the same model.
        let half = entries[1]["digest"] as? String ?? ""
        try sandbox.done("export", "oci:both@\(half)", "--format", "hf", "-o", "by-half")
        #expect(try isModel(sandbox, "by-half", model))
        #expect(
            try EndToEnd.digest(in: try sandbox.done("build", "--format", "universal", "-o", "x.tar", "oci:both:1"))
                == universal)
        if Self.readers.isUsable {
            let tool = "\(TestProgram.directory)/modelpack_reader.py"
            let read = try EndToEnd.object(try Self.readers.check([tool, "layout", "\(sandbox.path)/desk/both"]))
            #expect(read["manifests"] as? Int == 2)
        }
    }

    @Test func anEncryptedUniversalImageKeepsTheWordsOfBothHalves() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.done("keygen", "--type", "ec", "-o", "key")
        let plain = try EndToEnd.digest(in: try sandbox.done("build", "--format", "universal", "-o", "plain", model))
        try sandbox.done("build", "--format", "universal", "--encryption-key", "key.pub.pem", "-o", "built", model)
        try sandbox.done("export", "oci:plain", "--encryption-key", "key.pub.pem", "-o", "locked")
        for layout in ["built", "locked"] {
            let digest =
                try EndToEnd.object(try sandbox.done("inspect", "--json", "oci:\(layout)"))["digest"] as? String ?? ""
            let index = try manifest(sandbox, digest, of: layout)
            let types = try #require(index["manifests"] as? [[String: Any]]).map { entry in
                try layers(manifest(sandbox, entry["digest"] as? String ?? "", of: layout)).map {
                    $0["mediaType"] as? String ?? ""
                }
            }
            #expect(types[0].allSatisfy { $0 == "application/vnd.oci.image.layer.v1.tar+encrypted" }, "\(types)")
            #expect(
                types[1].allSatisfy { $0.hasPrefix("application/vnd.cncf.model.") && $0.hasSuffix(".tar+encrypted") },
                "\(types)")
            try sandbox.done("export", "oci:\(layout)", "--decryption-key", "key.pem", "-o", "\(layout)-open")
            try sandbox.done(
                "export", "oci:\(layout)", "--decryption-key", "key.pem", "--format", "hf", "-o", "\(layout)-out")
            #expect(try isModel(sandbox, "\(layout)-out", model))
            #expect(try sandbox.done("verify", "oci:\(layout)-open").contains(plain))
        }
    }

    // MARK: Images of others

    @Test(
        .enabled(if: TestProgram.python.isUsable, "python3 is missing"),
        arguments: ["modctl-tar", "modctl-old", "docker", "kitops"])
    func modelsOfOtherToolsAreRead(_ kind: String) throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.tool("python3", ["\(TestProgram.directory)/foreign_models.py", kind, "theirs", model])
        try sandbox.done("export", "oci:theirs:1", "--format", "hf", "-o", "out")
        // Docker's say nothing of modes.
        let differences = try FileTree("\(sandbox.path)/desk/out").differences(
            from: FileTree(model), ignoring: ["Modelfile"])
        #expect(differences == (kind == "docker" ? ["other mode: run.sh"] : []))
        try sandbox.directory.write("desk/next/Modelfile", "FROM oci:../theirs:1\nPARAMETER temperature 0.5\n")
        let made = try sandbox.done("build", "-t", "made:1", "next")
        if kind != "docker" {
            #expect(
                try EndToEnd.digest(in: made) == EndToEnd.digest(in: try sandbox.done("build", "-t", "own:1", model)))
        }
    }

    @Test(.enabled(if: TestProgram.python.isUsable, "python3 is missing"))
    func dockerModelsWithoutNamesGetThem() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.tool("python3", ["\(TestProgram.directory)/foreign_models.py", "docker-packed", "theirs", model])
        try sandbox.done("export", "oci:theirs:1", "--format", "hf", "-o", "out")
        #expect(
            try FileTree("\(sandbox.path)/desk/out").files == [
                "LICENSE", "Modelfile", "chat_template.jinja", "config.json", "mmproj.gguf",
                "model-00001-of-00002.gguf",
                "model-00002-of-00002.gguf",
            ])
    }

    @Test(.enabled(if: TestProgram.python.isUsable && TestProgram.skopeo.isUsable, "python3 or skopeo is missing"))
    func kapsuleOf2024IsReadPlainAndEncrypted() throws {
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.tool("python3", ["\(TestProgram.directory)/foreign_models.py", "kapsule-2024", "old", model])
        try sandbox.done("keygen", "--bits", "2048", "-o", "key")
        try sandbox.done("export", "oci:old:1", "--encryption-key", "key.pub.pem", "-o", "locked")
        // Its own suffix, which nobody else has.
        try sandbox.tool("python3", ["-c", Self.renameSuffix])
        for (layout, keys) in [("old", [String]()), ("locked", ["--decryption-key", "key.pem"])] {
            let out = "\(layout)-out"
            let outcome = try sandbox.start(["export", "oci:\(layout):1", "--format", "hf", "-o", out] + keys).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
            let folder = "\(sandbox.path)/desk/\(out)"
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: "\(folder)/model.safetensors"))
                    == Data(contentsOf: URL(fileURLWithPath: "\(model)/model.safetensors")))
            let text = try String(contentsOfFile: "\(folder)/Modelfile", encoding: .utf8)
            for line in [
                "FROM ./model.safetensors", "TEMPLATE {{ .Prompt }}", "PARAMETER stop b c", "PARAMETER temperature 0.7",
            ] {
                #expect(text.contains("\(line)\n"), "\(text)")
            }
            let built = try sandbox.start(["build", "-t", "\(layout):2", "oci:\(layout):1"] + keys).wait()
            #expect(built.status == 0, "\(built.errors)")
        }
        #expect(try sandbox.kapsule("export", "oci:locked:1", "--format", "hf", "-o", "closed").status == 9)
    }

    private static let renameSuffix = """
        import hashlib, json
        index = json.load(open("locked/index.json"))
        entry = index["manifests"][0]
        text = open("locked/blobs/sha256/" + entry["digest"][7:]).read().replace('+gzip+encrypted"', '+gzip+enc"')
        assert "+gzip+enc" in text
        name = hashlib.sha256(text.encode()).hexdigest()
        open("locked/blobs/sha256/" + name, "w").write(text)
        entry["digest"], entry["size"] = "sha256:" + name, len(text)
        json.dump(index, open("locked/index.json", "w"))
        """

    @Test(arguments: [[], ["--encryption-key", "key.pub.pem"]] as [[String]])
    func equalAndEmptyFilesAreNoTrouble(_ flags: [String]) throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { folder in
            try SampleModel.writeTiny(to: folder)
            for name in ["a.json", "b.json", "c.py", "empty.txt", "nothing.txt"] {
                try Data(name.hasSuffix(".txt") ? [] : Array("{}".utf8)).write(
                    to: URL(fileURLWithPath: "\(folder)/\(name)"))
            }
        }
        try sandbox.done("keygen", "--type", "ec", "-o", "key")
        let image = "\(registry.host)/m:1"
        let built = try sandbox.start(
            ["build", "--format", "modelpack", "-t", image, "--push", "-o", "m.tar"] + flags + [model]
        ).wait()
        #expect(built.status == 0, "\(built.errors)")
        #expect(try sandbox.tool("tar", ["tf", "m.tar"]).hasSuffix("oci-layout\nindex.json\n"))
        let keys = flags.isEmpty ? [] : ["--decryption-key", "key.pem"]
        for (source, out) in [("m.tar", "from-tar"), (image, "pulled")] {
            try sandbox.done("verify", source)
            let verb = source == image ? "pull" : "export"
            let outcome = try sandbox.start([verb, source, "--format", "hf", "-o", out] + keys).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try isModel(sandbox, out, model))
        }
        let again = try sandbox.start(
            ["build", "--format", "modelpack", "-o", "again.tar", "oci-archive:m.tar"] + keys + flags
        )
        .wait()
        #expect(again.status == 0, "\(again.errors)")
        try sandbox.done("verify", "again.tar")
    }

    // MARK: What is refused

    @Test func damagedAndHostileOnesAreRefused() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0) }
        let digest = try EndToEnd.digest(
            in: try sandbox.done("build", "--format", "modelpack", "-t", "m:1", "-o", "mp", model))
        let manager = FileManager.default
        func damaged(_ name: String, _ change: (inout [String: Any]) throws -> Void) throws {
            try manager.copyItem(atPath: "\(sandbox.path)/desk/mp", toPath: "\(sandbox.path)/desk/\(name)")
            var manifest = try manifest(sandbox, digest, of: name)
            try change(&manifest)
            let bytes = try JSONSerialization.data(withJSONObject: manifest, options: [.sortedKeys])
            try bytes.write(to: URL(fileURLWithPath: "\(sandbox.path)/desk/\(name)/new"))
            let hash = try sandbox.tool("sha256sum", ["\(name)/new"]).prefix(64)
            try manager.moveItem(
                atPath: "\(sandbox.path)/desk/\(name)/new", toPath: "\(sandbox.path)/desk/\(name)/blobs/sha256/\(hash)")
            let index =
                #"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:\#(hash)","size":\#(bytes.count)}]}"#
            try sandbox.directory.write("desk/\(name)/index.json", index)
        }
        func naming(_ path: String?) -> (inout [String: Any]) throws -> Void {
            { manifest in
                var layers = try #require(manifest["layers"] as? [[String: Any]])
                var annotations = try #require(layers[2]["annotations"] as? [String: String])
                annotations["org.opencontainers.image.title"] = nil
                annotations["org.cncf.model.filepath"] = path
                layers[2]["annotations"] = annotations
                manifest["layers"] = layers
            }
        }
        try damaged("climbs", naming("../../etc/passwd"))
        try damaged("absolute", naming("/etc/passwd"))
        try damaged("nameless", naming(nil))
        try damaged("twice", naming("config.json"))
        try damaged("flipped") { _ in }
        let layer = try #require(try layers(manifest(sandbox, digest, of: "mp"))[2]["digest"] as? String).dropFirst(7)
        let blob = URL(fileURLWithPath: "\(sandbox.path)/desk/flipped/blobs/sha256/\(layer)")
        var bytes = [UInt8](try Data(contentsOf: blob))
        bytes[bytes.count / 2] ^= 1
        try manager.removeItem(at: blob)
        try Data(bytes).write(to: blob)
        for (name, message) in [
            ("climbs", "climbs out with '..'"), ("absolute", "is absolute"),
            ("nameless", "does not say which file it is"),
            ("twice", "has two layers that are 'config.json'"), ("flipped", "is not what its source promised"),
        ] {
            for command in [
                ["export", "oci:\(name)", "--format", "hf", "-o", "out-\(name)"],
                ["build", "-t", "x:\(name)", "oci:\(name)"],
            ] {
                let outcome = try sandbox.start(command).wait()
                #expect(outcome.status == 8, "\(command): \(outcome.errors)")
                #expect(outcome.errors.contains(message), "\(outcome.errors)")
            }
        }
        #expect(!manager.fileExists(atPath: "/tmp/etc/passwd"))
    }

    @Test(arguments: [
        (["--format", "modelpack", "--compression", "gzip", "-o", "x"], "which are not compressed"),
        (["--format", "modelpack", "--platform", "linux/amd64,linux/arm64", "-o", "x"], "is for no platform"),
        (["--format", "modelpack", "--format", "oci", "-t", "m:1"], "one image cannot be both"),
        (["--output", "type=oci,dest=x,layout=tar"], "layout=tar is how a ModelPack stores its files"),
        (["--output", "type=verity,dest=x,format=modelpack"], "--output"),
        (["--output", "type=modelpack,dest=x,format=oci"], "--output"),
        (["--output", "type=modelpack,dest=x,layout=zip"], "--output"),
    ])
    func optionsThatDoNotFitAreRefused(_ flags: [String], _ message: String) throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0) }
        let outcome = try sandbox.start(["build"] + flags + [model]).wait()
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(message), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(sandbox.path)/desk/x"))
    }

    // MARK: Several outputs

    @Test func eachOutputIsMadeOrNamedAndTheSourceIsReadOnce() throws {
        guard EndToEnd.hasReaders else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let model = try model(sandbox)
        try sandbox.directory.write("desk/taken.tar", "something else")
        let outcome = try sandbox.kapsule(
            "build", "-t", "\(registry.host)/m:1", "--output", "type=oci-archive,dest=taken.tar", "--output",
            "type=modelpack,dest=mp", "--output", "type=universal,dest=un", "--output",
            "type=oci-archive,dest=good.tar,format=modelpack",
            "--output", "type=registry,format=universal", "--output", "type=hf,dest=files", model)
        #expect(outcome.status == 7, "\(outcome.errors)")
        #expect(outcome.errors.contains("5 of 6 outputs were written"), "\(outcome.errors)")
        #expect(outcome.errors.contains("taken.tar is there already"), "\(outcome.errors)")
        #expect(outcome.output.split(separator: "\n").count == 5)
        for place in ["oci:mp", "oci:un", "good.tar", "\(registry.host)/m:1"] { try sandbox.done("verify", place) }
        #expect(try isModel(sandbox, "files", model))
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("model.safetensors: started") }.count == 1, "\(outcome.errors)")
    }
}
