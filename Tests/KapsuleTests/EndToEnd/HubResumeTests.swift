import Foundation
import Glibc
import TestSupport
import Testing

/// A build from the hub that is killed: the same command goes on, and what came before is not fetched again.
///
/// Points are drawn from seeds; `KAPSULE_CAMPAIGN=200` draws more, `KAPSULE_TEST_SEED=n` draws one again.
@Suite(.enabled(if: HubStandIn.isUsable, "python3")) struct HubResumeTests {
    /// Bytes of each of two large files, each with a lane to itself.
    private static let large = 24 << 20
    /// What may be fetched twice: headers that are looked at, small files.
    private static let slack = 1 << 20

    /// Another hub with the same models, which has heard of nothing yet: the first one may still be noticing who was killed.
    private func freshHub(_ sandbox: Sandbox) throws -> HubStandIn {
        let hub = try HubStandIn("\(sandbox.path)/hub")
        sandbox.environment["HF_ENDPOINT"] = hub.endpoint
        return hub
    }

    private func slowHub(_ sandbox: Sandbox, seed: UInt64) throws -> HubStandIn {
        var random = SeededGenerator(seed: seed)
        let block = random.bytes(1 << 20)
        for number in 1...2 {
            var data: [UInt8] = []
            while data.count < Self.large {
                data += [UInt8(truncatingIfNeeded: data.count >> 20), UInt8(number)] + block
            }
            try sandbox.directory.write(
                "hub/acme/m/model-\(number).safetensors", GitSourceTests.Repository.safetensors(data))
        }
        try sandbox.directory.write("hub/acme/m/config.json", #"{"model_type":"bert","seed":\#(seed)}"#)
        try sandbox.directory.write("hub/acme/m/sub/vocab.txt", random.bytes(5000))
        let hub = try freshHub(sandbox)
        // Slow enough to be caught in the middle.
        try hub.setFaults([["on": "cdn", "rate": 40_000_000]])
        return hub
    }

    private func size(_ path: String) -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.reduce(0) { sum, name in
            sum + ((try? FileManager.default.attributesOfItem(atPath: "\(path)/\(name)"))?[.size] as? Int ?? 0)
        }
    }

    private func size(ofFile path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    /// Sizes of what is left of the two large files.
    private func leftOfLarge(_ path: String) throws -> [Int] {
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
        return try names.map { try size(ofFile: "\(path)/\($0)") }.filter { $0 > Self.slack }.sorted()
    }

    private func bounds(_ request: HubStandIn.Request) -> [Int] {
        (request.range ?? "bytes=0-99999999").dropFirst(6).split(separator: "-").compactMap { Int($0) }
    }

    /// Whether it is for the beginning of a file, which a build looks at.
    private func isHeader(_ request: HubStandIn.Request) -> Bool {
        let bounds = bounds(request)
        return bounds.count == 2 && bounds[1] < Self.slack
    }

    /// Where the ranges of storage begin that were asked for.
    private func starts(_ hub: HubStandIn) throws -> [Int] {
        try hub.requests.filter { $0.server == "cdn" && !isHeader($0) }.compactMap { bounds($0).first }
    }

    /// Runs it until `isReached`, or to its end.
    private func kill(_ sandbox: Sandbox, _ command: [String], when isReached: () -> Bool) throws {
        let child = try sandbox.start(command)
        while !isReached(), !child.ends(within: .milliseconds(2)) {}
        child.kill(SIGKILL)
        _ = try child.wait()
    }

    @Test(arguments: EndToEnd.seeds) func aDirectoryGoesOnAtTheByte(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let sandbox = try Sandbox()
        let slow = try slowHub(sandbox, seed: seed)
        let command = ["build", "--format", "hf", "-o", "out", "hf://acme/m"]
        let partial = "\(sandbox.path)/desk/out/.kapsule-partial"
        for _ in 0..<3 {
            let target = size(partial) + Int.random(in: 1...13_000_000, using: &random)
            try kill(sandbox, command) { size(partial) >= target }
        }
        // Nothing has its name before all of it is there.
        #expect(try FileTree("\(sandbox.path)/desk/out").files.allSatisfy { $0.hasPrefix(".kapsule-partial/") })
        let left = try leftOfLarge(partial)
        let hub = try freshHub(sandbox)
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        // To the byte, but for headers that are looked at.
        let fetched = try hub.requests.filter { $0.server == "cdn" }.reduce(0) { $0 + $1.sent }
        let total = try FileTree("\(sandbox.path)/hub/acme/m").files.filter { $0.hasSuffix(".safetensors") }.reduce(0) {
            try $0 + size(ofFile: "\(sandbox.path)/hub/acme/m/\($1)")
        }
        #expect(fetched <= total - left.reduce(0, +) + 4096, "\(left) were there, and \(fetched) of \(total) fetched")
        #expect(
            try FileTree("\(sandbox.path)/desk/out").differences(
                from: FileTree("\(sandbox.path)/hub/acme/m"), ignoring: ["Modelfile"]) == [])
        #expect(sandbox.debris == [])
        withExtendedLifetime(slow) {}
    }

    @Test(arguments: ["layout", "store"]) func aFinishedLayerIsNotFetchedAgain(_ place: String) throws {
        let sandbox = try Sandbox()
        let slow = try slowHub(sandbox, seed: 7)
        try slow.setFaults([["on": "cdn", "match": "model-2*", "rate": 4_000_000]])
        let command = ["build", "-t", "m:1", "hf://acme/m"] + (place == "layout" ? ["-o", "layout"] : [])
        let blobs = place == "layout" ? "\(sandbox.path)/desk/layout/blobs/sha256" : "\(sandbox.store)/blobs/sha256"
        try kill(sandbox, command) { size(blobs) > Self.large }
        try #require(size(blobs) > Self.large && size(blobs) < 2 * Self.large)
        let hub = try freshHub(sandbox)
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        // Of the one that was finished nothing but its header is asked for.
        let fetched = try hub.requests.filter { $0.server == "cdn" && !isHeader($0) }.map(\.path)
        #expect(Set(fetched).count == 1, "\(fetched)")
        try sandbox.done("verify", place == "layout" ? "oci:layout:1" : "m:1")
        #expect(sandbox.debris == [])
        withExtendedLifetime(slow) {}
    }

    /// Bytes that were written of what is left in the hidden folders below a directory: neither holes nor room that was only
    /// taken.
    private func leftovers(_ path: String) -> Int {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.contains(".kapsule-partial/") }.reduce(0) { $0 + written("\(path)/\($1)") }
    }

    private func written(_ path: String) -> Int {
        let descriptor = unsafe open(path, O_RDONLY)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var (end, sum) = (0, 0)
        while true {
            let start = lseek(descriptor, end, 3)  // SEEK_DATA
            guard start >= 0 else { return sum }
            end = lseek(descriptor, start, 4)  // SEEK_HOLE
            guard end > start else { return sum }
            sum += end - start
        }
    }

    /// Files that are one output, killed in the middle of a layer or an image.
    @Test(arguments: ["layout", "store", "modelpack", "verity", "repart"])
    func aHalfWrittenOutputGoesOn(_ kind: String) throws {
        let sandbox = try Sandbox()
        let slow = try slowHub(sandbox, seed: 11)
        let flags =
            switch kind {
            case "store": ["-t", "m:1"]
            case "layout": ["-o", "out"]
            case "modelpack": ["-o", "out", "--format", kind]
            default: ["-o", "out", "--format", kind, "--model-id", "acme/m@1"]
            }
        let command = ["build", "-q"] + flags + ["hf://acme/m"]
        let place = kind == "store" ? sandbox.store : "\(sandbox.path)/desk/out"
        for _ in 0..<2 {
            let target = leftovers(place) + 9_000_000
            try kill(sandbox, command) { leftovers(place) > target }
        }
        let left = leftovers(place)
        try #require(left > 12_000_000 && left < 2 * Self.large, "\(left) bytes were left")
        let hub = try freshHub(sandbox)
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let ranges = try hub.requests.filter { $0.server == "cdn" }.map {
            "\($0.path.suffix(8)) \($0.range ?? "") \($0.sent)"
        }
        let fetched = try hub.requests.filter { $0.server == "cdn" }.reduce(0) { $0 + $1.sent }
        // Pieces that came out of their turn are fetched again, and so are headers that are looked at.
        let missing = 2 * Self.large - left
        #expect(fetched <= missing + (6 << 20), "\(left) bytes were left, and \(fetched) were fetched: \(ranges)")
        #expect(sandbox.debris == [])
        // Nothing says how it came about.
        let again = ["KAPSULE_HOME": "\(sandbox.path)/other", "XDG_CACHE_HOME": "\(sandbox.path)/other-cache"]
        let clean = try sandbox.start(
            command.map { $0 == "out" ? "again" : $0 }, again.merging(["HF_ENDPOINT": hub.endpoint]) { $1 }
        ).wait()
        #expect(clean.status == 0, "\(clean.errors)")
        if kind == "store" {
            #expect(outcome.output == clean.output)
        } else {
            #expect(try FileTree("\(sandbox.path)/desk/again").differences(from: FileTree(place)) == [])
        }
        withExtendedLifetime(slow) {}
    }

    /// What is left is proved by its hash: bytes that are not those of the model are fetched again, all of them.
    @Test(arguments: ["layout", "verity"]) func aDamagedLeftoverIsNotBelieved(_ kind: String) throws {
        let sandbox = try Sandbox()
        let slow = try slowHub(sandbox, seed: 12)
        let flags = kind == "layout" ? ["-o", "out"] : ["-o", "out", "--format", kind, "--model-id", "acme/m@1"]
        let command = ["build", "-q"] + flags + ["hf://acme/m"]
        let place = "\(sandbox.path)/desk/out"
        try kill(sandbox, command) { leftovers(place) > 12_000_000 }
        let names = try FileManager.default.subpathsOfDirectory(atPath: place).filter {
            $0.contains(".kapsule-partial/")
        }
        #expect(!names.isEmpty)
        for name in names {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: "\(place)/\(name)"))
            // Inside of a tensor, whichever of the two files it is in.
            for offset in [2_000_001, Self.large + 2_000_001] where try file.seekToEnd() > offset {
                try file.seek(toOffset: UInt64(offset))
                let byte = try #require(try file.read(upToCount: 1)?.first)
                try file.seek(toOffset: UInt64(offset))
                try file.write(contentsOf: Data([byte ^ 0x10]))
            }
            try file.close()
        }
        let hub = try freshHub(sandbox)
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let again = command.map { $0 == "out" ? "again" : $0 } + ["--no-cache"]
        #expect(try sandbox.start(again).wait().status == 0)
        #expect(try FileTree("\(sandbox.path)/desk/again").differences(from: FileTree(place)) == [])
        #expect(sandbox.debris == [])
        withExtendedLifetime((slow, hub)) {}
    }

    @Test func aPlanLeavesNothing() throws {
        let sandbox = try Sandbox()
        let hub = try slowHub(sandbox, seed: 13)
        for format in ["verity", "repart", "oci"] {
            try sandbox.done(
                "build", "--dry-run", "--format", format, "-o", "out", "--model-id", "acme/m@1", "hf://acme/m")
        }
        #expect(try FileTree("\(sandbox.path)/desk").files == [])
        #expect(sandbox.debris == [])
        withExtendedLifetime(hub) {}
    }

    @Test func aCacheOfTheHubGoesOnAndHasTheHubsOwnNames() throws {
        let sandbox = try Sandbox()
        let slow = try slowHub(sandbox, seed: 3)
        let command = ["build", "-o", "type=hf-cache,dest=cache", "hf://acme/m"]
        let model = "\(sandbox.path)/desk/cache/models--acme--m"
        try kill(sandbox, command) { size("\(model)/.kapsule-partial") > 8_000_000 }
        let left = try leftOfLarge("\(model)/.kapsule-partial")
        #expect(!left.isEmpty)
        let hub = try freshHub(sandbox)
        let outcome = try sandbox.start(command).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let starts = try starts(hub)
        #expect(
            left.count < 2 || starts.allSatisfy { $0 >= left[0] }, "\(left) were there, and ranges began at \(starts)")
        let commit = try hub.commit("acme/m")
        #expect(try String(contentsOfFile: "\(model)/refs/main", encoding: .utf8) == commit)
        for (path, length) in [("config.json", 40), ("sub/vocab.txt", 40), ("model-1.safetensors", 64)] {
            let link = try FileManager.default.destinationOfSymbolicLink(
                atPath: "\(model)/snapshots/\(commit)/\(path)")
            #expect(link.split(separator: "/").last?.count == length, "\(path) -> \(link)")
        }
        let files = try FileTree("\(model)/snapshots/\(commit)")
        #expect(
            try files.differences(from: FileTree("\(sandbox.path)/hub/acme/m")).filter { !$0.hasPrefix("other mode") }
                == [])
        #expect(sandbox.debris == [])
        withExtendedLifetime(slow) {}
    }
}
