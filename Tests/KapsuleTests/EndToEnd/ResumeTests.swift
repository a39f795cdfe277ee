import Foundation
import Glibc
import TestSupport
import Testing

/// After a kill at nine tenths of a blob, the same command moves the last tenth, and no more than a little.
@Suite struct ResumeTests {
    /// Of the blob, in percent.
    private static let most = 12

    private struct Place {
        let registry: TestRegistry
        let relay: Relay
        let sandbox: Sandbox
        let context: String
        let size: Int64

        init() throws {
            registry = try TestRegistry()
            relay = try Relay(to: registry.port)
            sandbox = try Sandbox()
            context = try sandbox.context("m", modelfile: "FROM .\n") { directory in
                var random = SeededGenerator(seed: 4)
                let bytes = random.bytes(SampleModel.large + 4_000_000)
                try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/weights.dat"))
            }
            size = Int64(SampleModel.large + 4_000_000)
        }

        var image: String { "\(relay.host)/acme/m:1" }

        /// Kills a run when so many bytes of the blob have passed. What is still on the way to a pull is waited for: here
        /// it would be a large part of the blob.
        func kill(_ command: [String], at count: Int64, _ direction: Relay.Direction) throws {
            relay.reset()
            let reached = DispatchSemaphore(value: 0)
            relay.hold(after: count, direction) { reached.signal() }
            let child = try sandbox.start(command)
            #expect(reached.wait(timeout: .now() + 60) == .success)
            let deadline = ContinuousClock.now + .seconds(60)
            while direction == .down, landed < count - 200_000, ContinuousClock.now < deadline {
                _ = child.ends(within: .milliseconds(10))
            }
            child.kill(SIGKILL)
            #expect(try child.wait().status == 137)
            relay.forget()
            relay.reset()
        }

        /// Bytes that a pull has put into its hidden folder.
        private var landed: Int64 {
            sandbox.debris.filter { $0.contains("/.kapsule-") }.reduce(0) { sum, path in
                let size = try? FileManager.default.attributesOfItem(atPath: "\(sandbox.path)/\(path)")[.size] as? Int64
                return sum + (size ?? 0)
            }
        }

        /// Kills a run when nine tenths of the blob have passed; gives the bytes that the next one moved.
        func moved(_ command: [String], _ direction: Relay.Direction) throws -> Int64 {
            try kill(command, at: size * 9 / 10, direction)
            let outcome = try sandbox.start(command).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(sandbox.debris == [])
            return direction == .up ? relay.up : relay.down
        }
    }

    @Test(arguments: [[], ["-o", "layout"], ["--format", "hf", "-o", "out"]]) func ofAPull(_ options: [String]) throws {
        let place = try Place()
        try place.sandbox.done("build", "-t", place.image, place.context)
        let moved = try place.moved(["pull", place.image] + options, .down)
        #expect(moved * 100 <= place.size * Int64(Self.most), "\(moved) of \(place.size)")
        if options.first == "--format" {
            let differences = try FileTree("\(place.sandbox.path)/desk/out").differences(from: FileTree(place.context))
            #expect(differences == [])
        } else {
            try place.sandbox.done("verify", options.isEmpty ? place.image : "oci:layout:1")
        }
    }

    @Test(arguments: [true, false]) func ofAPush(_ isFromStore: Bool) throws {
        let place = try Place()
        if isFromStore { try place.sandbox.done("build", "-t", "m:1", place.context) }
        let command = isFromStore ? ["push", "m:1", place.image] : ["build", "-t", place.image, place.context]
        let moved = try place.moved(command, .up)
        #expect(moved * 100 <= place.size * Int64(Self.most), "\(moved) of \(place.size)")
        try place.sandbox.done("verify", place.image)
        let notes = "\(place.sandbox.path)/cache/kapsule/uploads"
        #expect(try FileManager.default.contentsOfDirectory(atPath: notes) == [])
    }

    /// What is left of a pull that nobody repeats.
    @Test func pruneTakesAwayWhatIsLeft() throws {
        let place = try Place()
        try place.sandbox.done("build", "-t", place.image, place.context)
        try place.kill(["pull", place.image], at: place.size / 2, .down)
        #expect(place.sandbox.debris.contains { $0.hasPrefix("store/.kapsule-partial/") })
        try place.sandbox.done("verify")
        try place.sandbox.done("prune")
        #expect(place.sandbox.debris == [])
    }
}
