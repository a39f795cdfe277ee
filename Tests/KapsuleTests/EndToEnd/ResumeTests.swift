import Foundation
import Glibc
import TestSupport
import Testing

/// After a kill at nine tenths of a blob, the same command moves the last tenth, and no more than a little.
///
/// With `KAPSULE_RESUME_SIZE=2147483648` the blob has that size, and the registry is a real one.
@Suite(.serialized) struct ResumeTests {
    /// Of the blob, in percent.
    private static let most = 12
    private static let givenSize = ProcessInfo.processInfo.environment["KAPSULE_RESUME_SIZE"].flatMap(Int.init)
    private static let size = givenSize ?? SampleModel.large + 4_000_000
    /// For all that is waited for: two gigabytes take their time.
    private static let patience = givenSize == nil ? 60 : 900

    /// What is behind the relay.
    private enum Server {
        case own(TestRegistry)
        case real(ThrowawayRegistry)

        var port: Int {
            switch self {
            case .own(let registry): registry.port
            case .real(let registry): registry.port
            }
        }

        /// Bytes of blobs that it has got.
        var arrived: Int64 {
            switch self {
            case .own(let registry): registry.bytesReceived
            case .real(let registry): registry.uploadedBytes
            }
        }
    }

    private struct Place {
        let server: Server
        let relay: Relay
        let sandbox: Sandbox
        let context: String
        let size = Int64(ResumeTests.size)

        init(isReal: Bool = false) throws {
            server =
                isReal || ResumeTests.givenSize != nil ? .real(try ThrowawayRegistry()) : .own(try TestRegistry())
            relay = try Relay(to: server.port)
            sandbox = try Sandbox()
            context = try sandbox.context("m", modelfile: "FROM .\n") { directory in
                var random = SeededGenerator(seed: 4)
                let path = "\(directory)/weights.dat"
                try Data().write(to: URL(fileURLWithPath: path))
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                for start in stride(from: 0, to: ResumeTests.size, by: 16 << 20) {
                    try file.write(contentsOf: random.bytes(min(16 << 20, ResumeTests.size - start)))
                }
                try file.close()
            }
        }

        var image: String { "\(relay.host)/acme/m:1" }

        /// Kills a run when so many bytes of the blob have passed. What is still on the way is waited for: here it would be
        /// a large part of the blob.
        func kill(_ command: [String], at count: Int64, _ direction: Relay.Direction) throws {
            relay.reset()
            let before = server.arrived
            let reached = DispatchSemaphore(value: 0)
            relay.hold(after: count, direction) { reached.signal() }
            let child = try sandbox.start(command)
            #expect(reached.wait(timeout: .now() + .seconds(patience)) == .success)
            let deadline = ContinuousClock.now + .seconds(patience)
            func arrived() -> Int64 { direction == .down ? landed : server.arrived - before }
            // On disk are whole blocks of half a MiB; what has come of the next one goes with the process.
            let enough = count - 200_000 - (direction == .down ? 512 << 10 : 0)
            var last: Int64 = -1
            while arrived() < enough || arrived() != last, ContinuousClock.now < deadline {
                last = arrived()
                _ = child.ends(within: .milliseconds(last < enough ? 10 : 300))
            }
            child.kill(SIGKILL)
            #expect(try child.wait().status == 137)
            relay.forget()
            relay.reset()
        }

        /// Runs kapsule, which must succeed.
        func done(_ arguments: String...) throws {
            let outcome = try sandbox.start(arguments).wait(atMost: .seconds(patience))
            #expect(outcome.status == 0, "\(outcome.errors)")
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
            let outcome = try sandbox.start(command).wait(atMost: .seconds(patience))
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(sandbox.debris == [])
            return direction == .up ? relay.up : relay.down
        }
    }

    @Test(arguments: [[], ["-o", "layout"], ["--format", "hf", "-o", "out"]]) func ofAPull(_ options: [String]) throws {
        let place = try Place()
        try place.done("build", "-t", place.image, place.context)
        let moved = try place.moved(["pull", place.image] + options, .down)
        #expect(moved * 100 <= place.size * Int64(Self.most), "\(moved) of \(place.size)")
        if options.first == "--format" {
            let differences = try FileTree("\(place.sandbox.path)/desk/out").differences(from: FileTree(place.context))
            #expect(differences == [])
        } else {
            try place.done("verify", options.isEmpty ? place.image : "oci:layout:1")
        }
    }

    @Test(arguments: [true, false]) func ofAPush(_ isFromStore: Bool) throws {
        // Nobody can go on where the registry has forgotten.
        if Self.givenSize != nil, try !ThrowawayRegistry.keepsWhatCame() {
            return try Tool.skip("docker-registry forgets what was cut: set KAPSULE_REGISTRY to distribution 3")
        }
        let place = try Place()
        if isFromStore { try place.done("build", "-t", "m:1", place.context) }
        let command = isFromStore ? ["push", "m:1", place.image] : ["build", "-t", place.image, place.context]
        let moved = try place.moved(command, .up)
        #expect(moved * 100 <= place.size * Int64(Self.most), "\(moved) of \(place.size)")
        try place.done("verify", place.image)
        let notes = "\(place.sandbox.path)/cache/kapsule/uploads"
        #expect(try FileManager.default.contentsOfDirectory(atPath: notes) == [])
    }

    @Test(.enabled(if: EndToEnd.hasRegistry)) func ofAPushToARealRegistry() throws {
        let place = try Place(isReal: true)
        let moved = try place.moved(["build", "-t", place.image, place.context], .up)
        // Distribution 2.8 gets it anew, and may take the last tenth before it finds that it has forgotten the others.
        let most = try Int64(ThrowawayRegistry.keepsWhatCame() ? Self.most : 100 + Self.most)
        #expect(moved * 100 <= place.size * most, "\(moved) of \(place.size)")
        try place.done("verify", place.image)
    }

    /// However often it breaks: each time it comes further.
    @Test func aBuildOutlivesManyCuts() throws {
        let place = try Place()
        guard case .own(let registry) = place.server else { return }
        for _ in 0..<7 { registry.plan(.requestCut(after: 2_200_000), on: "PATCH") }
        try place.done("build", "-t", "\(registry.host)/acme/m:1", place.context)
        #expect(registry.bytesReceived < place.size + 1_000_000, "no byte twice")
        #expect(registry.faultsDone.count == 7)
    }

    /// What is left of a pull that nobody repeats.
    @Test func pruneTakesAwayWhatIsLeft() throws {
        let place = try Place()
        try place.done("build", "-t", place.image, place.context)
        try place.kill(["pull", place.image], at: place.size / 2, .down)
        #expect(place.sandbox.debris.contains { $0.hasPrefix("store/.kapsule-partial/") })
        try place.done("verify")
        try place.done("prune")
        #expect(place.sandbox.debris == [])
    }
}
