import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// Images of any kind on their way to a registry, in another form than they have.
@Suite(.enabled(if: EndToEnd.hasRegistry)) struct OllamaPushTests {
    /// An image of a GGUF model in the local store, and what Ollama's store would call it.
    private func image(_ place: OllamaPlace) throws -> (context: String, digest: String) {
        let model = try place.context()
        try place.sandbox.done("build", "-t", "acme/tiny:1", model)
        let line = try place.sandbox.done("build", "-o", "type=ollama,dest=there,name=acme/tiny:1", model)
        return (model, try EndToEnd.digest(in: line))
    }

    @Test func anImageOfTheStoreIsPushedInOllamasForm() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let (_, digest) = try image(place)
        let registry = try ThrowawayRegistry()
        let name = "\(registry.host)/acme/tiny:1"
        let pushed = try sandbox.kapsule("push", "--format", "ollama", "acme/tiny:1", name)
        #expect(pushed.output == "\(registry.host)/acme/tiny@\(digest)\n", "\(pushed.errors)")
        // What arrives is what Ollama's store would have.
        try sandbox.done("pull", "ollama://\(name)", "--format", "ollama", "-o", "back", "--name", "acme/tiny:1")
        #expect(try place.tree("back").differences(from: place.tree("there")) == [])
        // A second time there is nothing to send, and another image needs --force.
        #expect(try sandbox.done("push", "--format", "ollama", "acme/tiny:1", name).hasSuffix(digest))
        let taken = try sandbox.kapsule("push", "acme/tiny:1", name)
        #expect(taken.status == 6)
        try sandbox.done("push", "--force", "acme/tiny:1", name)
    }

    @Test(arguments: ["oci:layout", "pack.tar", "ollama:acme/tiny:1"])
    func whereverItComesFrom(_ source: String) throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let (model, digest) = try image(place)
        switch source {
        case "oci:layout": try sandbox.done("build", "-o", "layout", model)
        case "pack.tar": try sandbox.done("build", "--format", "modelpack", "-o", source, model)
        default: try sandbox.done("build", "--format", "ollama", "-t", "acme/tiny:1", model)
        }
        let registry = try ThrowawayRegistry()
        #expect(
            try sandbox.done("push", "--format", "ollama", source, "\(registry.host)/acme/tiny:1")
                == "\(registry.host)/acme/tiny@\(digest)")
        #expect(sandbox.debris == [])
    }

    @Test func aBuildPushesOllamasFormToo() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let (model, digest) = try image(place)
        let registry = try ThrowawayRegistry()
        #expect(
            try sandbox.done(
                "build", "-o", "type=registry,format=ollama", "-t", "\(registry.host)/acme/tiny:1", model)
                == "\(registry.host)/acme/tiny@\(digest)")
        let both = try sandbox.done(
            "build", "--format", "ollama", "--push", "-t", "\(registry.host)/acme/tiny:2", model)
        #expect(both == "ollama:\(registry.host)/acme/tiny:2@\(digest)\n\(registry.host)/acme/tiny@\(digest)")
        #expect(
            try sandbox.done("build", "-o", "type=oci,dest=kept,format=ollama", model) == "oci:kept@\(digest)")
        #expect(try sandbox.done("verify", "oci:kept").hasSuffix("\(digest) is whole, 11 blobs"))
    }

    @Test func otherFormsAreMadeOnTheWay() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let (model, _) = try image(place)
        let registry = try ThrowawayRegistry()
        for form in ["modelpack", "universal", "oci"] {
            let built = try sandbox.done("build", "-o", "type=oci,dest=\(form),format=\(form)", model)
            let pushed = try sandbox.done("push", "--format", form, "acme/tiny:1", "\(registry.host)/acme/\(form):1")
            #expect(try EndToEnd.digest(in: pushed) == EndToEnd.digest(in: built), "\(form)")
        }
    }

    @Test func whatOllamaCannotHoldIsRefused() throws {
        let place = try OllamaPlace()
        let sandbox = place.sandbox
        let (model, _) = try image(place)
        func refused(_ arguments: String..., says: String) throws {
            let outcome = try sandbox.start(arguments).wait()
            #expect(outcome.status == 2, "\(arguments)")
            #expect(outcome.errors.contains(says), "\(outcome.errors)")
        }
        let output = ["build", "-o", "type=oci,dest=no,format=ollama"]
        func build(_ arguments: String..., says: String) throws {
            let outcome = try sandbox.start(output + arguments + [model]).wait()
            #expect(outcome.status == 2, "\(arguments)")
            #expect(outcome.errors.contains(says), "\(outcome.errors)")
        }
        try sandbox.done("keygen", "--type", "ec", "-o", "alice")
        try build("--encryption-key", "alice.pub.pem", says: "Ollama cannot read encrypted layers")
        try build("--compression", "gzip", says: "the layers of Ollama's models are the files as they are")
        try build("--platform", "linux/amd64,linux/arm64", says: "a model of Ollama's is for no platform")
        try build("--max-layer-size", "1MiB", "--base", "acme/tiny:1", says: "has no layers but the model's")
        #expect(!FileManager.default.fileExists(atPath: "\(place.work)/no"))
        try sandbox.done("build", "-q", "-t", "acme/secret:1", "--encryption-key", "alice.pub.pem", model)
        try refused(
            "push", "--format", "ollama", "acme/secret:1", "localhost:1/acme/secret:1",
            says: "acme/secret:1 is encrypted, and --format ollama makes it anew")
        try refused("push", "--format", "verity", "acme/tiny:1", "localhost:1/a/b", says: "verity")
    }
}
