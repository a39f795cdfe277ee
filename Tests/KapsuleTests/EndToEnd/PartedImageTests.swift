import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// Files that are too large for one layer.
@Suite struct PartedImageTests {
    private struct Place {
        let registry: TestRegistry
        let sandbox: Sandbox
        let context: String
        let size: Int

        init(_ size: Int = 5_300_001) throws {
            self.size = size
            registry = try TestRegistry()
            sandbox = try Sandbox()
            context = try sandbox.context("m", modelfile: "FROM .\n") { directory in
                var random = SeededGenerator(seed: 6)
                try FileManager.default.createDirectory(atPath: "\(directory)/sub", withIntermediateDirectories: true)
                for (name, count) in [("sub/weights.dat", size), ("a.dat", 700_000), ("b.dat", 600_000), ("c.json", 2)]
                {
                    let bytes = count == 2 ? Array("{}".utf8) : random.bytes(count)
                    try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
                }
            }
        }

        var image: String { "\(registry.host)/acme/m:1" }

        func layers(_ image: String) throws -> [[String: Any]] {
            try #require(
                try EndToEnd.object(try sandbox.done("inspect", "--json", image))["layers"] as? [[String: Any]])
        }

        func expectSame(_ directory: String, line: Int = #line) throws {
            let location = SourceLocation(fileID: #fileID, filePath: #filePath, line: line, column: 1)
            let differences = try FileTree("\(sandbox.path)/desk/\(directory)").differences(from: FileTree(context))
            #expect(differences == [], sourceLocation: location)
        }
    }

    @Test func areSplitAndJoined() throws {
        let place = try Place()
        let built = try place.sandbox.kapsule("build", "-t", place.image, "--max-layer-size", "1MiB", place.context)
        #expect(built.status == 0, "\(built.errors)")
        #expect(built.errors.contains("'sub/weights.dat' is in several layers"))
        let layers = try place.layers(place.image)
        #expect(layers.allSatisfy { ($0["size"] as? Int ?? 0) <= 1 << 20 })
        let parts = layers.compactMap { ($0["annotations"] as? [String: String])?["io.kapsule.part"] }
        #expect(parts == ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"])
        // The same again, to another place: the same image.
        let again = try place.sandbox.done("build", "-o", "layout", "--max-layer-size", "1MiB", place.context)
        #expect(try EndToEnd.digest(in: again) == EndToEnd.digest(in: built.output.trimmingCharacters(in: .newlines)))
        for source in [place.image, "oci:layout"] {
            let out = source == place.image ? "pulled" : "exported"
            let verb = source == place.image ? "pull" : "export"
            try place.sandbox.done(verb, "--format", "hf", "-o", out, source)
            try place.expectSame(out)
        }
        #expect(place.sandbox.debris == [])
        // A file that is there is not fetched again, nor are its parts.
        place.registry.resetCounters()
        try place.sandbox.done("pull", "--format", "hf", "-o", "pulled", place.image)
        #expect(place.registry.bytesSent < 2_000_000)
    }

    /// A run that was killed while it joined: what it had taken over does not come again, and a half part counts as none.
    @Test func joiningGoesOn() throws {
        let place = try Place()
        try place.sandbox.done("build", "-t", place.image, "--max-layer-size", "1MiB", place.context)
        let weights = try Data(contentsOf: URL(fileURLWithPath: "\(place.context)/sub/weights.dat"))
        let name = ".kapsule-joined-\(Digest.of([UInt8](weights)).hex)"
        func leave(_ directory: String, _ bytes: Data) throws {
            let folder = "\(place.sandbox.path)/desk/\(directory)/.kapsule-parts"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        }
        func pull(_ directory: String) throws -> Child.Outcome {
            place.registry.resetCounters()
            return try place.sandbox.kapsule("pull", "--format", "hf", "-o", directory, place.image)
        }
        try leave("some", weights.prefix(2_500_000))
        let some = try pull("some")
        #expect(some.status == 0, "\(some.errors)")
        try place.expectSame("some")
        // Two of six parts, and two small files.
        #expect(place.registry.bytesSent < place.size - 2_000_000 + 1_400_000, "\(place.registry.bytesSent)")
        try leave("all", weights)
        let all = try pull("all")
        #expect(all.status == 0, "\(all.errors)")
        try place.expectSame("all")
        #expect(place.registry.bytesSent < 1_500_000)
        // What is not what it should be costs a run, and no more.
        try leave("wrong", Data(repeating: 7, count: 2_500_000))
        #expect(try pull("wrong").status == 8)
        #expect(try pull("wrong").status == 0)
        try place.expectSame("wrong")
        #expect(place.sandbox.debris == [])
    }

    @Test func buildFromAnImageInParts() throws {
        let place = try Place()
        try place.sandbox.done("build", "-t", place.image, "--max-layer-size", "2MiB", place.context)
        let whole = try place.sandbox.done("build", "-o", "whole", place.context)
        try place.sandbox.directory.write("desk/Modelfile", "FROM oci://\(place.image)\n")
        try place.sandbox.done("build", "-f", "Modelfile", "--format", "hf", "-o", "out", ".")
        try place.expectSame("out")
        #expect(whole.contains("@sha256:"))
    }

    @Test func areInThePlan() throws {
        let place = try Place()
        func titles(_ options: String...) throws -> [String] {
            let text = try place.sandbox.start(["plan", "--format", "text", "-o", "out"] + options + [place.context])
                .wait()
            #expect(text.status == 0, "\(text.errors)")
            return text.output.split(separator: "\n").map(String.init).filter { $0.contains("sub/weights.dat") }
        }
        #expect(try titles("--max-layer-size", "1MiB").count > titles().count)
        let refused = try place.sandbox.kapsule("plan", "--max-layer-size", "1 apple", place.context)
        #expect(refused.status == 2 && refused.errors.contains("is no size"), "\(refused.errors)")
    }

    @Test func changeNothingWhereAllFits() throws {
        let place = try Place()
        let plain = try place.sandbox.done("build", "-o", "plain", place.context)
        let limited = try place.sandbox.done("build", "-o", "limited", "--max-layer-size", "1GiB", place.context)
        #expect(try EndToEnd.digest(in: plain) == EndToEnd.digest(in: limited))
    }

    /// A part of a file of weights says nothing of the model; the file did.
    @Test func whatIsKnownOfTheModelStays() throws {
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n") { directory in
            let header = #"{"w":{"dtype":"F16","shape":[1572864],"data_offsets":[0,3145728]}}"#
            var random = SeededGenerator(seed: 7)
            let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
            try Data(length + Array(header.utf8) + random.bytes(3_145_728)).write(
                to: URL(fileURLWithPath: "\(directory)/model.safetensors"))
        }
        func config(_ name: String, _ options: [String]) throws -> NSDictionary {
            let build = try sandbox.start(["build", "--format", "modelpack", "-o", name] + options + [context]).wait()
            try #require(build.status == 0, "\(build.errors)")
            let layout = "\(sandbox.path)/desk/\(name)"
            func document(_ path: String) throws -> [String: Any] {
                try EndToEnd.object(String(decoding: Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self))
            }
            func blob(_ descriptor: [String: Any]?) throws -> [String: Any] {
                let digest = try #require(descriptor?["digest"] as? String)
                return try document("\(layout)/blobs/sha256/\(digest.dropFirst(7))")
            }
            let manifest = try blob((document("\(layout)/index.json")["manifests"] as? [[String: Any]])?.first)
            return try #require(try blob(manifest["config"] as? [String: Any])["config"] as? NSDictionary)
        }
        let whole = try config("whole", [])
        #expect(whole["paramSize"] as? String == "1.5M")
        #expect(try config("parts", ["--max-layer-size", "1MiB"]) == whole)
    }

    /// The registry has every part already: nothing is sent again.
    @Test func areNotSentTwice() throws {
        let place = try Place()
        let command = ["build", "-q", "--max-layer-size", "1MiB", "-t"]
        #expect(try place.sandbox.start(command + [place.image, place.context]).wait().status == 0)
        place.registry.resetCounters()
        #expect(try place.sandbox.start(command + [place.image, place.context]).wait().status == 0)
        #expect(place.registry.bytesReceived < 100_000)
    }

    @Test(
        arguments: [
            (["--max-layer-size", "5 apples"], 2, "is no size"), (["--max-layer-size", "1000"], 2, "is too small"),
            (["--max-layer-size", "1MiB", "--format", "hf"], 2, "is about layers"),
        ] as [([String], Int32, String)]) func refuse(_ options: [String], _ status: Int32, _ message: String) throws
    {
        let place = try Place()
        let outcome = try place.sandbox.start(["build", "-o", "out"] + options + [place.context]).wait()
        #expect(outcome.status == status)
        #expect(outcome.errors.contains(message), "\(outcome.errors)")
    }

    @Test func tooManyLayersAreRefused() throws {
        let place = try Place(110 << 20)
        let outcome = try place.sandbox.kapsule("build", "-o", "out", "--max-layer-size", "1MiB", place.context)
        #expect(outcome.status == 2, "\(outcome.errors)")
        #expect(outcome.errors.contains("100 is the most"), "\(outcome.errors)")
    }
}
