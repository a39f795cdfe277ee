import Foundation
import TestSupport
import Testing

/// One store, several processes.
@Suite struct SharedStoreTests {
    @Test func sameAndDifferentModelsAtTheSameTime() throws {
        let sandbox = try Sandbox()
        let one = try sandbox.context("one", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0, seed: 1) }
        let two = try sandbox.context("two", modelfile: "FROM .\n") { try SampleModel.writeTiny(to: $0, seed: 2) }
        let builds = try [(one, "a:1"), (one, "a:2"), (two, "b:1"), (one, "a:1"), (two, "b:2")].map { context, tag in
            try sandbox.start(["build", "-q", "-t", tag, context])
        }
        // Meanwhile somebody tidies up, as often as the builds take.
        var prunes: Set<Int32> = []
        while !builds.allSatisfy({ $0.ends(within: .zero) }) { prunes.insert(try sandbox.kapsule("prune").status) }
        #expect(prunes.isSubset(of: [0, 5]))
        let outcomes = try builds.map { try $0.wait() }
        #expect(outcomes.map(\.status) == [0, 0, 0, 0, 0], "\(outcomes.map(\.errors))")
        #expect(Set(outcomes.map(\.output)).count == 2)
        try sandbox.done("prune")
        try sandbox.done("verify")
        let names = try sandbox.done("ls").split(separator: "\n").dropFirst().compactMap {
            $0.split(separator: " ").first
        }
        #expect(names == ["a:1", "a:2", "b:1", "b:2"])
        #expect(sandbox.debris == [])
    }

    @Test func whatNobodyNamesGoes() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        try sandbox.done("build", "-t", "m:1", model)
        try sandbox.done("build", "--exclude", "weights.bin", "-t", "m:2", model)
        #expect(try sandbox.done("rm", "m:1").contains("m:1"))
        #expect(try sandbox.done("prune").hasPrefix("3 blobs, "))
        try sandbox.done("verify", "m:2")
        #expect(try sandbox.kapsule("rm", "m:1").status == 2)
        try sandbox.done("rm", "m:2")
        try sandbox.done("prune")
        #expect(try FileTree(sandbox.store).files.filter { $0.hasPrefix("blobs/") } == [])
        let usage = try EndToEnd.object(try sandbox.done("du", "--json"))
        #expect(usage["total"] as? Int == 0)
    }
}
