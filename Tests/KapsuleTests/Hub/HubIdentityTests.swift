import Foundation
import TestSupport
import Testing

/// The same files of the same commit are the same image, wherever they were read.
@Suite(.enabled(if: HubFixture.hasClient && EndToEnd.hasRegistry, "needs huggingface_hub and docker-registry"))
struct HubIdentityTests {
    private func fixture() throws -> HubFixture {
        try HubFixture { root in
            try HubFixture.few(root)
            try root.write("acme/m/README.md", "---\nlanguage: [en]\nlicense: mit\n---\n# A model\n")
        }
    }

    private func pushed(_ fixture: HubFixture, _ registry: ThrowawayRegistry, _ arguments: String...) throws -> String {
        let name = "\(registry.host)/m-\(UUID().uuidString.lowercased()):1"
        let outcome = try fixture.sandbox.start(["build", "-q", "-t", name] + arguments).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try EndToEnd.digest(in: outcome.output.trimmingCharacters(in: .newlines))
    }

    @Test func hubSnapshotAndDirectoryGiveOneManifestInARegistry() throws {
        let (fixture, registry) = (try fixture(), try ThrowawayRegistry())
        let commit = try fixture.hub.commit("acme/m")
        let hub = try pushed(fixture, registry, "hf://acme/m")
        let manifest = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: registry.blob(hub))))
                as? [String: Any])
        let annotations = try #require(manifest["annotations"] as? [String: String])
        #expect(
            annotations == [
                "org.opencontainers.image.source": "\(fixture.hub.endpoint)/acme/m/tree/\(commit)",
                "org.opencontainers.image.revision": commit, "org.opencontainers.image.title": "acme/m",
                "org.opencontainers.image.licenses": "mit",
            ])

        let snapshot = try fixture.download()
        let modelfile = try fixture.sandbox.directory.write("desk/Modelfile.plain", "FROM .\n")
        #expect(try pushed(fixture, registry, "-f", modelfile, snapshot) == hub)
        let named = try fixture.sandbox.directory.write("desk/c/Modelfile", "FROM \(snapshot)\n")
        #expect(try pushed(fixture, registry, "-f", named) == hub)

        let directory = "\(fixture.root.path)/acme/m"
        let identity = "hf://acme/m@\(commit)"
        #expect(try pushed(fixture, registry, "-f", modelfile, "--model-id", identity, directory) == hub)
        // Nothing is made up for a directory of which nobody says what it is.
        #expect(try pushed(fixture, registry, "-f", modelfile, directory) != hub)

        fixture.sandbox.environment["HF_HUB_OFFLINE"] = "1"
        #expect(try pushed(fixture, registry, "hf://acme/m") == hub)
    }

    @Test func theIdentityOfAVerityImageMayBeWrittenAsTheSource() throws {
        let fixture = try fixture()
        let commit = try fixture.hub.commit("acme/m")
        let hub = try fixture.sandbox.done("build", "-q", "--format", "verity", "-o", "hub", "hf://acme/m")
        let modelfile = try fixture.sandbox.directory.write("desk/Modelfile.plain", "FROM .\n")
        let identity = "hf://acme/m@\(commit)"
        let directory = try fixture.sandbox.done(
            "build", "-q", "--format", "verity", "-o", "directory", "-f", modelfile, "--model-id", identity,
            "\(fixture.root.path)/acme/m")
        #expect(directory == hub)
        let image = "directory/acme/m/\(commit).mpk"
        try fixture.sandbox.done("verify", image, "--root-hash", hub, "--model-id", identity)
        let snapshot = try fixture.download()
        try fixture.sandbox.directory.write("desk/c/Modelfile", "FROM \(snapshot)\n")
        #expect(try fixture.sandbox.done("build", "-q", "--format", "verity", "-o", "snapshot", "c") == hub)
    }

    @Test(arguments: ["hf://acme/m", "hf://acme/m@main", "hf://acme/m@0123abc", "hf://acme"])
    func anIdentityOfTheHubIsACommit(_ identity: String) throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let outcome = try sandbox.kapsule("build", "-o", "out", "--model-id", identity, model)
        #expect(outcome.status == 2, "\(outcome.errors)")
        #expect(outcome.errors.contains("help: write hf://ORG/NAME"))
    }
}
