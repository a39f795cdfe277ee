import Foundation
import TestSupport
import Testing

/// A name that stands for another image is moved only when told.
@Suite struct ConflictTests {
    enum Place: CaseIterable { case store, layout, registry }

    @Test(.enabled(if: EndToEnd.hasRegistry), arguments: Place.allCases)
    func aTakenTagStaysUnlessForced(_ place: Place) throws {
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let name = place == .registry ? "\(registry.host)/m:1" : "m:1"
        let output = place == .layout ? ["-o", "layout"] : []
        let seen = place == .layout ? "oci:layout:1" : name
        func build(_ seed: UInt64, _ options: String...) throws -> Child.Outcome {
            let context = try sandbox.context("m", modelfile: "FROM .\n") {
                try SampleModel.writeTiny(to: $0, seed: seed)
            }
            return try sandbox.start(["build", "-q", "-t", name] + output + options + [context]).wait()
        }
        func digest() throws -> String? {
            try EndToEnd.object(try sandbox.done("inspect", "--json", seen))["digest"] as? String
        }
        #expect(try build(1).status == 0)
        let first = try digest()
        // The same again is no conflict.
        #expect(try build(1).status == 0)

        // A new name beside the taken one is not given either.
        let second = try build(2, "-t", place == .registry ? "\(registry.host)/m:2" : "m:2")
        #expect(second.status == 6)
        #expect(second.errors.contains("help: use "))
        #expect(second.errors.contains("--force"))
        #expect(second.output == "")
        #expect(try digest() == first)
        #expect(
            try sandbox.kapsule("inspect", seen.replacingOccurrences(of: ":1", with: ":2", options: .backwards)).status
                != 0)

        #expect(try build(2, "--force").status == 0)
        #expect(try digest() != first)
        #expect(sandbox.debris == [])
    }

    @Test func anOccupiedDirectoryIsNoLayout() throws {
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        try sandbox.directory.write("desk/out/precious.txt", "mine")
        let outcome = try sandbox.kapsule("build", "-q", "-t", "m:1", "-o", "out", context)
        #expect(outcome.status == 6)
        #expect(
            outcome.errors == """
                error: cannot make an OCI layout in out: it holds 'precious.txt'
                help: name an empty directory, or one that is a layout already

                """)
        #expect(try FileTree("\(sandbox.path)/desk/out").files == ["precious.txt"])
    }

    @Test func filesThatDifferAreKeptUnlessForced() throws {
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        try sandbox.done("build", "-t", "m:1", context)
        try sandbox.directory.write("desk/out/config.json", "mine")
        try sandbox.directory.write("desk/out/other.txt", "mine too")
        let outcome = try sandbox.kapsule("export", "--format", "hf", "-o", "out", "m:1")
        #expect(outcome.status == 6)
        #expect(outcome.errors.contains("out/config.json is there already, with other content"))
        #expect(try sandbox.directory.read("desk/out/config.json") == Array("mine".utf8))
        #expect(try sandbox.directory.read("desk/out/other.txt") == Array("mine too".utf8))
        #expect(try !FileTree("\(sandbox.path)/desk/out").files.contains("weights.bin"))
        try sandbox.done("export", "--format", "hf", "--force", "-o", "out", "m:1")
        #expect(
            try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(context)) == ["only here: other.txt"])
        #expect(sandbox.debris == [])
    }

    /// A registry whose tags never change refuses even to write the same again; it is not asked to.
    @Test func aTagThatIsFixedAlreadyIsLeftAlone() throws {
        var character = TestRegistry.Character()
        character.fixedTags = (412, "PRECONDITION", "the tag is immutable")
        let registry = try TestRegistry(character)
        let sandbox = try Sandbox()
        let image = "\(registry.host)/acme/m:1"
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        let first = try sandbox.done("build", "-t", image, context)
        #expect(try sandbox.done("build", "-t", image, context) == first)
        try sandbox.directory.write("desk/m/more.txt", "more")
        for force in [[], ["--force"]] {
            let refused = try sandbox.start(["build", "-t", image, context] + force).wait()
            #expect(refused.status == 6, "\(refused.errors)")
        }
    }
}
