import Foundation
import Glibc
import TestSupport
import Testing

/// What a peer got wrong on the way from a hub into a registry, each with the input that broke it.
@Suite(.enabled(if: HubFixture.isUsable && EndToEnd.hasRegistry, "needs python3, curl and docker-registry"))
struct HubPeerTests {
    /// Pushes a model, and gives the files that a pull finds; the manifest has to be there.
    private func pushed(
        _ fixture: HubFixture, _ registry: ThrowawayRegistry, _ source: String = "hf://acme/m", _ flags: [String] = []
    ) throws -> FileTree {
        let name = "\(registry.host)/m:1"
        let outcome = try fixture.sandbox.start(["build", "-q", "-t", name] + flags + [source]).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let folder = UUID().uuidString
        try fixture.sandbox.done("pull", "-q", "--format", "hf", "-o", folder, name)
        return try FileTree("\(fixture.sandbox.path)/desk/\(folder)")
    }

    private func differences(_ tree: FileTree, _ fixture: HubFixture, _ repository: String = "acme/m") throws
        -> [String]
    {
        try tree.differences(
            from: FileTree("\(fixture.root.path)/\(repository)"), ignoring: ["Modelfile", ".gitattributes"])
    }

    /// It made a layer of each, and no runtime mounts more than 127.
    @Test func aModelOf310FilesHasFewLayers() throws {
        let fixture = try HubFixture { root in
            for index in 0..<310 { try root.write("acme/m/experts/part-\(index).json", #"{"part":\#(index)}"#) }
        }
        let registry = try ThrowawayRegistry()
        let tree = try pushed(fixture, registry)
        #expect(tree.files.count == 311)
        #expect(try differences(tree, fixture) == [])
        let image = try EndToEnd.object(
            try fixture.sandbox.done("inspect", "--json", "\(registry.host)/m:1"))
        let layers = try #require(image["layers"] as? [Any])
        // And the Modelfile.
        #expect(layers.count == 2)
    }

    /// It took five endings, and left these behind.
    @Test func filesOfAllKindsComeAlong() throws {
        let names = [
            "LICENSE", "NOTICE", "USE_POLICY.md", "chat_template.jinja", "additional_chat_templates/tool_use.jinja",
            "modeling_x.py", "tokenizer.model", "qwen.tiktoken", "merges.txt", "vocab.json", "config.json",
            "onnx/model.onnx", "preprocessor_config.json", "params",
        ]
        let fixture = try HubFixture { root in
            for name in names {
                try root.write("acme/m/\(name)", name.hasSuffix(".json") ? "{}" : "content of \(name)")
            }
            try root.write("acme/m/.gitattributes", "* -text")
        }
        let tree = try pushed(fixture, try ThrowawayRegistry())
        #expect(Set(tree.files) == Set(names + ["Modelfile"]))
        #expect(try differences(tree, fixture) == [])
    }

    /// It put paths into addresses as they are.
    @Test func namesWithMarksAreNames() throws {
        let names = ["name #1.txt", "#", "%41", "%41.json", "a?b=c.json", "50% off.txt", "ünïcode & more.txt", "+.txt"]
        let fixture = try HubFixture { root in
            for (index, name) in names.enumerated() { try root.write("acme/m/\(name)", "{\"a\":\(index)}") }
            try root.write("acme/m/weights #1 %41.safetensors", SampleModel.safetensors(100_000, seed: 8))
        }
        let tree = try pushed(fixture, try ThrowawayRegistry())
        #expect(tree.files.count == names.count + 2)
        #expect(try differences(tree, fixture) == [])
    }

    /// It kept the file that an older push of the tag had.
    @Test func aSmallFileThatChangedUnderATagReplacesTheOldOne() throws {
        let (fixture, registry) = (try HubFixture([], HubFixture.tiny), try ThrowawayRegistry())
        _ = try pushed(fixture, registry)
        // Of the same size, too.
        try fixture.root.write("acme/m/config.json", #"{"a":2}"#)
        try fixture.hub.reload()
        #expect(try differences(try pushed(fixture, registry, "hf://acme/m@main", ["--force"]), fixture) == [])
    }

    /// It had one folder for what it fetched, and knew files there by path and size.
    @Test func weightsOfAnotherModelAreNeverTaken() throws {
        let fixture = try HubFixture { root in
            try HubFixture.tiny(root)
            try root.write("acme/other/config.json", #"{"b":1}"#)
            try root.write("acme/other/model.safetensors", SampleModel.safetensors(200_000, seed: 33))
            try root.write("acme/other/tokenizer.json", SeededBytes.of(5000, seed: 34))
        }
        let registry = try ThrowawayRegistry()
        #expect(try differences(try pushed(fixture, registry), fixture) == [])
        let other = try pushed(fixture, registry, "hf://acme/other", ["--force"])
        #expect(try differences(other, fixture, "acme/other") == [])
    }

    /// It pushed a small file with a flipped byte, and said that all went well.
    @Test func aWrongSmallFileIsNotPushed() throws {
        let (fixture, registry) = (try HubFixture([], HubFixture.tiny), try ThrowawayRegistry())
        try fixture.hub.setFaults([["on": "hub", "match": "config.json", "corrupt_at": 3]])
        let name = "\(registry.host)/m:1"
        let outcome = try fixture.sandbox.start(["build", "-q", "-t", name, "hf://acme/m"]).wait()
        #expect(outcome.status == 8, "\(outcome.errors)")
        #expect(outcome.errors.contains("config.json of acme/m is not what git has at commit"))
        #expect(try fixture.sandbox.kapsule("inspect", name).status == 5)
        // The first time it may have been the way.
        try fixture.hub.setFaults([["on": "hub", "match": "config.json", "corrupt_at": 3, "times": 1]])
        #expect(try differences(try pushed(fixture, registry), fixture) == [])
    }

    /// It tried again for long, and ended with 5.
    @Test func aGatedModelIsRefusedBeforeARegistryIsAskedForRoom() throws {
        let (fixture, registry) = (try HubFixture(["--gated", "acme/m"], HubFixture.tiny), try ThrowawayRegistry())
        let relay = try Relay(to: registry.port)
        let outcome = try fixture.sandbox.start(["build", "-q", "-t", "\(relay.host)/m:1", "hf://acme/m"]).wait()
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains("acme/m is gated"), "\(outcome.errors)")
        #expect(try fixture.hub.requests.count == 3)
        #expect(relay.up == 0)
    }

    /// It repeated one kind of request of all that there are.
    @Test func oneFailureAnywhereIsNoFailure() throws {
        let (fixture, registry) = (try HubFixture([], HubFixture.tiny), try ThrowawayRegistry())
        let proxy = try RegistryFaultProxy(to: registry.port)
        func run(_ name: String) throws -> Child.Outcome {
            try fixture.sandbox.start(["build", "-q", "--no-cache", "-t", "\(proxy.host)/\(name):1", "hf://acme/m"])
                .wait()
        }
        let digest = try EndToEnd.digest(in: try run("clean").output)
        let count = try fixture.hub.requests.count
        for (number, status) in zip(0..<count, [500, 502, 503, 504, 408, 429].cycled) {
            try fixture.hub.setFaults([["on": "any", "status": status, "skip": number, "times": 1]])
            let outcome = try run("hub-\(number)")
            #expect(outcome.status == 0, "request \(number) of the hub, \(status): \(outcome.errors)")
            #expect(try EndToEnd.digest(in: outcome.output) == digest)
        }
        try fixture.hub.setFaults([])
        // As many requests as a push of three files needs, and some that are not asked.
        for (number, status) in zip(0..<18, [500, 502, 503, 504].cycled) {
            try proxy.setFaults([["status": status, "skip": number, "times": 1]])
            let outcome = try run("registry-\(number)")
            #expect(outcome.status == 0, "request \(number) of the registry, \(status): \(outcome.errors)")
            #expect(try EndToEnd.digest(in: outcome.output) == digest)
        }
    }

    /// It died and left what it had fetched.
    @Test func aPushThatIsToldToEndLeavesNeitherATagNorAFile() throws {
        let (fixture, registry) = (try HubFixture(), try ThrowawayRegistry())
        try fixture.hub.setFaults([["on": "cdn", "stall_after": 5_000_000, "stall": 3600]])
        let name = "\(registry.host)/m:1"
        let child = try fixture.sandbox.start(["build", "-q", "--no-check", "-t", name, "hf://acme/m"])
        try registry.waitForLog("PATCH")
        child.kill(SIGTERM)
        #expect(child.ends(within: .seconds(20)))
        #expect(try child.wait().status == 128 + SIGTERM)
        #expect(fixture.sandbox.debris == [])
        #expect(try fixture.sandbox.kapsule("inspect", name).status == 5)
        try fixture.hub.setFaults([])
        #expect(try differences(try pushed(fixture, registry), fixture) == [])
    }
}

extension Array {
    /// Its elements over and over.
    fileprivate var cycled: some Sequence<Element> {
        sequence(first: 0) { $0 + 1 }.lazy.map { self[$0 % count] }
    }
}
