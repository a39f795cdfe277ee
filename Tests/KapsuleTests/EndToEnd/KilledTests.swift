import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// A killed kapsule leaves nothing that is wrong: the same command again does the job.
///
/// Points are drawn from seeds; `KAPSULE_CAMPAIGN=200` draws more, `KAPSULE_TEST_SEED=n` draws one again.
@Suite struct KilledTests {
    private static func fill(_ directory: String) throws {
        try SampleModel.writeFew(to: directory)
        try SampleModel.writeTiny(to: "\(directory)/more", seed: 9)
    }

    /// Kills by time: a build has no counterpart that would hear of its progress.
    @Test(arguments: EndToEnd.seeds) func aBuildIntoTheStore(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n", Self.fill)
        let command = ["build", "-t", "m:1", model]
        for _ in 0..<3 {
            let child = try sandbox.start(command)
            _ = child.ends(within: .milliseconds(Int.random(in: 1...400, using: &random)))
            child.kill(SIGKILL)
            _ = try child.wait()
            #expect(try sandbox.kapsule("verify").status == 0)
        }
        let reference = try sandbox.start(command).wait()
        #expect(reference.status == 0, "\(reference.errors)")
        try sandbox.done("verify")
        try sandbox.done("verify", "m:1")
        try sandbox.done("prune")
        try sandbox.done("export", "--format", "hf", "-o", "out", "m:1")
        #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(model)) == [])
        #expect(sandbox.debris == [])
    }

    @Test(arguments: EndToEnd.seeds) func aBuildOfAnImageFile(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n", Self.fill)
        let format = ["verity", "emwp", "repart"][Int(seed % 3)]
        let key = ["PRIVATE_MODEL_KEY_B64": Data(count: 64).base64EncodedString()]
        func command(_ output: String) -> [String] {
            ["build", "--verify", "--format", format, "--model-id", "acme/m@1", "-o", output, model]
        }
        let whole = try sandbox.start(command("whole"), key).wait()
        #expect(whole.status == 0, "\(whole.errors)")
        for _ in 0..<3 {
            let child = try sandbox.start(command("out"), key)
            _ = child.ends(within: .milliseconds(Int.random(in: 1...200, using: &random)))
            child.kill(SIGKILL)
            _ = try child.wait()
        }
        let again = try sandbox.start(command("out"), key).wait()
        #expect(again.status == 0 && again.output == whole.output, "\(again.errors)")
        let files = try FileTree("\(sandbox.path)/desk/out").files
        #expect(files == (try FileTree("\(sandbox.path)/desk/whole").files))
        #expect(sandbox.debris == [])
    }

    /// Kills when so many bytes have passed.
    @Test(.enabled(if: EndToEnd.hasRegistry), arguments: EndToEnd.seeds)
    func aPush(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n", Self.fill)
        let image = "\(relay.host)/acme/m:1"
        // Straight from the files; from the store.
        try sandbox.done("build", "-t", "m:1", model)
        let command = seed.isMultiple(of: 2) ? ["build", "-t", image, model] : ["push", "m:1", image]
        for _ in 0..<3 { try Self.kill(sandbox, command, relay, .up, &random) }
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        try sandbox.done("verify", image)
        #expect(
            try EndToEnd.digest(in: outcome.output)
                == EndToEnd.digest(in: sandbox.done("build", "-t", "m:1", model) + "\n"))
        #expect(sandbox.debris == [])
    }

    @Test(.enabled(if: EndToEnd.hasRegistry), arguments: EndToEnd.seeds)
    func aPull(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n", Self.fill)
        let image = "\(relay.host)/acme/m:1"
        try sandbox.done("build", "-t", image, model)
        let way = seed % 3
        let command = ["pull", image] + [[], ["-o", "layout"], ["--format", "hf", "-o", "out"]][Int(way)]
        for _ in 0..<3 {
            try Self.kill(sandbox, command, relay, .down, &random)
            if way == 2 {
                // What has its name is whole.
                let there = try FileTree("\(sandbox.path)/desk/out")
                let differences = try there.differences(from: FileTree(model)).filter { !$0.hasPrefix("only there") }
                #expect(differences.filter { !$0.contains(".kapsule-") } == [])
            }
        }
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        switch way {
        case 0:
            try sandbox.done("verify")
            try sandbox.done("export", "--format", "hf", "-o", "out", image)
        case 1:
            try sandbox.done("verify", "oci:layout:1")
            try sandbox.done("export", "--format", "hf", "-o", "out", "oci:layout:1")
        default: break
        }
        #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(model)) == [])
        #expect(sandbox.debris == [])
    }

    private static func kill(
        _ sandbox: Sandbox, _ command: [String], _ relay: Relay, _ direction: Relay.Direction,
        _ random: inout SeededGenerator
    ) throws {
        relay.reset()
        let child = try sandbox.start(command)
        let pid = child.pid
        relay.after(Int64.random(in: 200...20_000_000, using: &random), direction) { _ = Glibc.kill(pid, SIGKILL) }
        _ = try child.wait()
        relay.forget()
    }
}

/// Ctrl-C and `kill`.
@Suite(.enabled(if: EndToEnd.hasRegistry)) struct InterruptedTests {
    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
    func endsSoonWithItsOwnStatus(_ signal: Int32, _ status: Int32) throws {
        let registry = try ThrowawayRegistry()
        let relay = try Relay(to: registry.port)
        let sandbox = try Sandbox()
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let image = "\(relay.host)/m:1"
        // Up, then down; the wire is held, so that each is in the middle of its work.
        for (command, direction) in [(["build", "-t", image, model], Relay.Direction.up), (["pull", image], .down)] {
            relay.reset()
            let reached = DispatchSemaphore(value: 0)
            relay.hold(after: 1 << 20, direction) { reached.signal() }
            let child = try sandbox.start(command)
            #expect(reached.wait(timeout: .now() + 30) == .success)
            let start = ContinuousClock.now
            child.kill(signal)
            let outcome = try child.wait()
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(outcome.hasExited, "ended in order, not by the signal")
            #expect(outcome.errors.hasSuffix("error: interrupted\n"))
            #expect(ContinuousClock.now - start < .seconds(3))
            #expect(outcome.output == "")
            relay.forget()
            #expect(sandbox.debris.allSatisfy { $0.hasPrefix("store/.kapsule-partial") })
            #expect(try sandbox.start(command).wait().status == 0)
            #expect(sandbox.debris == [])
        }
        // An upload that was cut stays open there: docker-registry 2.8 answers 404 to the DELETE of one.
        try sandbox.done("verify", image)
    }
}
