import Foundation
import TestSupport
import Testing

/// What a registry, or the way to it, can do to an image: found out, said, and nothing of it kept.
@Suite(.enabled(if: EndToEnd.hasRegistry)) struct DamageTests {
    /// An image in a registry whose storage a test can reach into.
    private struct Place {
        let registry: ThrowawayRegistry
        let sandbox: Sandbox
        let image: String
        let digest: String

        init(access: ThrowawayRegistry.Access = .open) throws {
            registry = try ThrowawayRegistry(access)
            sandbox = try Sandbox()
            image = "\(registry.host)/acme/m:1"
            let context = try sandbox.context("m", modelfile: "FROM .\n")
            digest = try EndToEnd.digest(in: try sandbox.done("build", "-t", image, context))
        }

        func layers() throws -> [String] {
            let described = try EndToEnd.object(try sandbox.done("inspect", "--json", image))
            return try #require(described["layers"] as? [[String: Any]]).compactMap { $0["digest"] as? String }
        }

        /// Every way to fetch it fails so, and leaves nothing.
        func expectRefusal(_ status: Int32, _ message: String, line: Int = #line) throws {
            let location = SourceLocation(fileID: #fileID, filePath: #filePath, line: line, column: 1)
            for options in [[], ["-o", "layout"], ["--format", "hf", "-o", "out"]] {
                let outcome = try sandbox.start(["pull", "-q", image] + options).wait()
                #expect(outcome.status == status, "\(outcome.errors)", sourceLocation: location)
                #expect(outcome.errors.contains(message), "\(outcome.errors)", sourceLocation: location)
                #expect(outcome.errors.contains("\nhelp: "), "\(outcome.errors)", sourceLocation: location)
                #expect(outcome.output == "", sourceLocation: location)
            }
            #expect(try sandbox.done("ls", "--json") == "[]", sourceLocation: location)
            #expect(sandbox.debris == [], sourceLocation: location)
        }
    }

    @Test func aFlippedByteInALayer() throws {
        let place = try Place()
        let layer = try place.layers()[0]
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: place.registry.blob(layer))))
        bytes[1000] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: place.registry.blob(layer)))
        try place.expectRefusal(8, layer)
        let out = "\(place.sandbox.path)/desk/out"
        #expect((try? FileTree(out).files)?.contains("weights.bin") != true)
        #expect(try place.sandbox.kapsule("verify", place.image).status == 8)
    }

    @Test func aLayerThatIsCutShort() throws {
        let place = try Place()
        let layer = try place.layers()[0]
        let bytes = try Data(contentsOf: URL(fileURLWithPath: place.registry.blob(layer)))
        try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: place.registry.blob(layer)))
        // The registry promises the length that it remembers, and ends the connection early.
        try place.expectRefusal(5, "was cut off")
    }

    @Test func aManifestThatIsCutShort() throws {
        let place = try Place()
        let file = URL(fileURLWithPath: place.registry.blob(place.digest))
        let bytes = try Data(contentsOf: file)
        try bytes.prefix(bytes.count / 2).write(to: file)
        // The registry notices, or we do: never a manifest that is used.
        let outcome = try place.sandbox.kapsule("pull", place.image)
        #expect([5, 8].contains(outcome.status), "\(outcome.errors)")
        #expect(try place.sandbox.done("ls", "--json") == "[]")
    }

    /// The same from a server that passes it on.
    @Test(arguments: [
        ("cut short", 200), ("empty", 0),
    ]) func aManifestThatIsNotWhole(_ name: String, _ length: Int) throws {
        let text = #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"#
        let server = try LoopbackServer { request in
            guard request.path.contains("/manifests/") else { return .init(200) }
            return .init(
                200, ["Content-Type: application/vnd.oci.image.manifest.v1+json"], Array(text.utf8.prefix(length)))
        }
        let sandbox = try Sandbox()
        let outcome = try sandbox.kapsule("pull", "\(server.host)/m:1")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(outcome.errors.contains("the manifest of \(server.host)/m:1"), "\(outcome.errors)")
        #expect(sandbox.debris == [])
    }

    /// It is given up long before all of it has come, so it cannot have taken memory.
    @Test(arguments: [true, false]) func aManifestOfAHundredMegabytes(_ announcesLength: Bool) throws {
        let server = try LoopbackServer { request in
            guard request.path.contains("/manifests/") else { return .init(200) }
            let body = [UInt8](repeating: UInt8(ascii: " "), count: 100 << 20)
            return .init(200, ["Content-Type: application/vnd.oci.image.manifest.v1+json"], body).with {
                if !announcesLength { $0.framing = .close }
            }
        }
        let relay = try Relay(to: server.port)
        let sandbox = try Sandbox()
        let outcome = try sandbox.kapsule("pull", "\(relay.host)/m:1")
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(outcome.errors.contains("is longer than the 8388608 bytes that it may have"), "\(outcome.errors)")
        #expect(relay.down < 20 << 20)
        #expect(sandbox.debris == [])
    }

    @Test(arguments: ["../evil", "models/../../evil", "/evil", "models//../../evil", "models/a/../../../evil"])
    func aPathThatLeadsOutside(_ path: String) throws {
        guard let python = try Tool.find("python3") else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let maker = "\(TestProgram.directory)/hostile_image.py"
        try python.run([maker, "\(sandbox.path)/desk/evil", path])
        let image = "\(registry.host)/evil:1"
        try sandbox.done("push", "oci:evil:1", image)
        let pulled = try sandbox.kapsule("pull", "-q", "--format", "hf", "-o", "deep/out", image)
        let built = try sandbox.kapsule("build", "-q", "-t", "m:1", "oci://\(image)")
        // An entry outside of /models/ is not part of the model; one that tries to get out of there is refused.
        #expect([0, 8].contains(pulled.status), "\(pulled.errors)")
        if path.hasPrefix("models") { #expect(pulled.status == 8, "\(pulled.errors)") }
        #expect([0, 8].contains(built.status), "\(built.errors)")
        let stray = try FileTree(sandbox.path).files.filter { $0.hasSuffix("/evil") && !$0.hasPrefix("desk/evil/") }
        #expect(stray == [])
        #expect(!FileManager.default.fileExists(atPath: "/evil"))
        #expect(sandbox.debris == [])
    }

    @Test func aRegistryThatGoesAwayIsResumed() throws {
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let image = "\(relay.host)/m:1"
        for command in [["build", "-q", "-t", image, context], ["pull", "-q", image]] {
            relay.reset()
            relay.after(3_000_000, command[0] == "pull" ? .down : .up) { [weak relay] in relay?.cut() }
            let outcome = try sandbox.start(command).wait()
            #expect(outcome.status == 5, "\(outcome.errors)")
            #expect(outcome.errors.contains("running the command again resumes"), "\(outcome.errors)")
            #expect(outcome.output == "")
            // What has come stays, hidden, for the next run.
            #expect(sandbox.debris.allSatisfy { $0.hasPrefix("store/.kapsule-partial") })
            relay.mend()
            #expect(try sandbox.start(command).wait().status == 0)
            #expect(sandbox.debris == [])
        }
        try sandbox.done("verify", image)
    }

    @Test func whoMayNotIsTold() throws {
        let registry = try ThrowawayRegistry(.basic("bob", "builder"))
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        let image = "\(registry.host)/m:1"
        let anonymous = try sandbox.kapsule("build", "-q", "-t", image, context)
        #expect(anonymous.status == 3)
        #expect(anonymous.errors.contains("\nhelp: run 'kapsule login \(registry.host)'\n"), "\(anonymous.errors)")
        let wrong = try sandbox.kapsule(
            "push", "-q", "--username", "bob", "--password-stdin", "m:1", image, input: "guess")
        #expect(wrong.status == 2, "there is nothing to push yet: \(wrong.errors)")
        try sandbox.done("build", "-t", "m:1", context)
        let refused = try sandbox.kapsule(
            "push", "-q", "--username", "bob", "--password-stdin", "m:1", image, input: "guess")
        #expect(refused.status == 3)
        #expect(!refused.errors.contains("guess"))
        try sandbox.done("push", "--username", "bob", "--password-stdin", "m:1", image, input: "builder")
    }

    @Test(arguments: ["m:2", "other:1"]) func noSuchImage(_ name: String) throws {
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        try sandbox.done("build", "-t", "\(registry.host)/m:1", try sandbox.context("m", modelfile: "FROM .\n"))
        for command in [["pull"], ["inspect"], ["verify"]] {
            let outcome = try sandbox.start(command + ["\(registry.host)/\(name)"]).wait()
            #expect(outcome.status == 5, "\(outcome.errors)")
            #expect(outcome.errors.contains("\(registry.host)/\(name)"), "\(outcome.errors)")
            #expect(outcome.errors.contains("\nhelp: "), "\(outcome.errors)")
        }
    }
}
