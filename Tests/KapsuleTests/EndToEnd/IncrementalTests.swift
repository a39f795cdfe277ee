import Foundation
import TestSupport
import Testing

@Suite struct IncrementalTests {
    /// The kernel counts what a process reads. Two builds that differ in a parameter read less than the weights'
    /// size together, though each has all of them in its image.
    @Test func aChangedParameterReadsNoWeights() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("model", modelfile: "FROM .\nPARAMETER temperature 0.1\n") {
            try SampleModel.writeFew(to: $0)
        }
        let weights = try #require(
            try FileManager.default.attributesOfItem(atPath: "\(model)/model.safetensors")[.size] as? Int64)
        // A file that was just written is not remembered: it might change within the same tick of the clock.
        try age("\(model)", sandbox)

        let first = try sandbox.start(["build", "-t", "m:1", model]).wait()
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.bytesRead > weights)

        try sandbox.directory.write("desk/model/Modelfile", "FROM .\nPARAMETER temperature 0.9\n")
        let plan = try EndToEnd.object(try sandbox.done("plan", "-t", "m:2", "--format", "json", model))
        let nodes = try #require(plan["nodes"] as? [[String: Any]])
        let transfers = nodes.filter { $0["kind"] as? String == "TRANSFER" }
        #expect(transfers.map { $0["state"] as? String } == ["cached", "cached"])
        let totals = try #require(plan["totals"] as? [String: Any])
        #expect(totals["bytesToRead"] as? Int == 0)

        let second = try sandbox.start(["build", "-t", "m:2", model]).wait()
        #expect(second.status == 0, "\(second.errors)")
        #expect(second.output != first.output)
        #expect(second.bytesRead < 1 << 20)

        let third = try sandbox.start(["build", "--no-cache", "-t", "m:3", model]).wait()
        #expect(third.output.dropFirst(0) == second.output)
        #expect(third.bytesRead > weights)
        #expect(try sandbox.done("verify", "m:2").contains("is whole"))
    }

    /// Waits for the clock to be far enough past a file's change that its digest may be remembered: the time of that
    /// change cannot be set back.
    private func age(_ path: String, _ sandbox: Sandbox) throws {
        let patience = try Child("/bin/sleep", ["2.1"], environment: [:], in: path)
        _ = try patience.wait()
    }

    /// A pushed layer is found by what is remembered and a question to the registry.
    @Test(.enabled(if: EndToEnd.hasRegistry)) func aSecondPushOfTheSameModelSendsNoWeights() throws {
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let model = try sandbox.context("model", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        try age(model, sandbox)
        try sandbox.done("build", "-t", "\(relay.host)/m:1", model)
        #expect(relay.up > 16 << 20)
        relay.reset()
        try sandbox.directory.write("desk/model/Modelfile", "FROM .\nSYSTEM new\n")
        let again = try sandbox.start(["build", "-t", "\(relay.host)/m:2", model]).wait()
        #expect(again.status == 0, "\(again.errors)")
        #expect(relay.up < 40_000)
        #expect(again.bytesRead < 1 << 20)
    }
}
