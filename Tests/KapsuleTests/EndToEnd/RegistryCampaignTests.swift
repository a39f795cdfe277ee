import Foundation
import Glibc
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// Whatever a registry, the way to it or a kill does to a push or a pull: what is published is right, the exit status
/// says what happened, and the same command finishes when things are well again.
///
/// A seed decides everything: the kind of registry, what is moved how, and what goes wrong when.
/// `KAPSULE_CAMPAIGN=1000` runs as many seeds, `KAPSULE_TEST_SEED=n` one again.
@Suite struct RegistryCampaignTests {
    private static var seeds: Range<UInt64> {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["KAPSULE_TEST_SEED"].flatMap(UInt64.init) { return seed..<seed + 1 }
        return 0..<(environment["KAPSULE_CAMPAIGN"].flatMap(UInt64.init) ?? 24)
    }

    @Test(arguments: seeds) func survives(_ seed: UInt64) throws {
        var campaign = try Campaign(seed: seed)
        try campaign.run()
    }
}

private struct Campaign {
    enum Verb: CaseIterable {
        case build, push, pullToStore, pullToLayout, pullToFiles

        var isPull: Bool { [.pullToStore, .pullToLayout, .pullToFiles].contains(self) }
    }

    let seed: UInt64
    var random: SeededGenerator
    let verb: Verb
    let registry: TestRegistry
    let relay: Relay
    let sandbox: Sandbox
    let context: String
    var log: [String] = []

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededGenerator(seed: seed &* 7919 &+ 13)
        verb = Verb.allCases[Int(seed % UInt64(Verb.allCases.count))]
        registry = try TestRegistry(Self.character(&random))
        relay = try Relay(to: registry.port)
        sandbox = try Sandbox()
        sandbox.environment["KAPSULE_STALL_TIMEOUT_MS"] = "500"
        sandbox.environment["KAPSULE_PROGRESS"] = "json"
        // Some five megabytes in one layer; sometimes another layer of seventeen.
        let sizes = [Int.random(in: 1_100_000...5_000_000, using: &random), 70_000, 3]
        let hasLarge = UInt64.random(in: 0..<6, using: &random) == 0
        var bytes = SeededGenerator(seed: seed)
        context = try sandbox.context("m", modelfile: "FROM .\n") { directory in
            for (index, size) in sizes.enumerated() {
                try Data(bytes.bytes(size)).write(to: URL(fileURLWithPath: "\(directory)/file-\(index).dat"))
            }
            if hasLarge {
                try Data(bytes.bytes(17 << 20)).write(to: URL(fileURLWithPath: "\(directory)/large.dat"))
            }
        }
    }

    private static func character(_ random: inout SeededGenerator) -> TestRegistry.Character {
        var character = TestRegistry.Character()
        func one(in count: UInt64) -> Bool { UInt64.random(in: 0..<count, using: &random) == 0 }
        if one(in: 3) { character.interruption = .breaks }
        if one(in: 4) { character.patches = false }
        if one(in: 4) { character.longestBody = 1_500_000 }
        if one(in: 5) { character.shortestChunk = 1_200_000 }
        if one(in: 6) { character.ranges = false }
        if one(in: 3) { character.access = .token(requests: Int.random(in: 15...60, using: &random)) }
        // Without PATCH there is no way round a limit.
        if !character.patches { character.longestBody = .max }
        return character
    }

    private var image: String { "\(relay.host)/acme/m:1" }

    private var command: [String] {
        switch verb {
        case .build: ["build", "-t", image, context]
        case .push: ["push", "m:1", image]
        case .pullToStore: ["pull", image]
        case .pullToLayout: ["pull", "-o", "layout", image]
        case .pullToFiles: ["pull", "--format", "hf", "-o", "out", image]
        }
    }

    // MARK: The run

    mutating func run() throws {
        let wanted = try prepare()
        let spoils = plan()
        let killAt =
            UInt64.random(in: 0..<4, using: &random) == 0 ? Int64.random(in: 500...6_000_000, using: &random) : nil
        log.append("seed \(seed): \(verb), \(registry.planned), kill at \(killAt.map { "\($0)" } ?? "-")")
        for attempt in 0..<2 {
            relay.reset()
            let child = try sandbox.start(command)
            let pid = child.pid
            if attempt == 0, let killAt {
                relay.after(killAt, verb.isPull ? .down : .up) { _ = Glibc.kill(pid, SIGKILL) }
            }
            let outcome = try child.wait()
            relay.forget()
            try check(outcome, wasKilled: attempt == 0 && killAt != nil, spoils: spoils)
            try checkPublished(wanted, isDone: outcome.status == 0)
            if attempt == 0 { registry.forgive() }
            if attempt == 1 {
                expect(outcome.status == 0, "the second run ended with \(outcome.status): \(outcome.errors)")
            }
        }
        expect(sandbox.debris == [], "left: \(sandbox.debris)")
        expect(
            ((try? FileManager.default.contentsOfDirectory(atPath: "\(sandbox.path)/cache/kapsule/uploads")) ?? [])
                == []
                || !verb.isPull, "uploads are noted by a pull")
    }

    /// - Returns: the digest of the image.
    private func prepare() throws -> String {
        if verb.isPull { return try EndToEnd.digest(in: sandbox.done("build", "-q", "-t", image, context)) }
        return try EndToEnd.digest(in: sandbox.done("build", "-q", "-t", "m:1", context))
    }

    /// Draws what goes wrong.
    ///
    /// - Returns: whether something of it spoils bytes, rather than stopping them.
    private mutating func plan() -> Bool {
        var spoils = false
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let method: String
            let part: String
            if verb.isPull {
                (method, part) = random.element(of: [
                    ("GET", "/blobs/"), ("GET", "/blobs/"), ("GET", "/manifests/"), ("GET", "/v2/"),
                ])
            } else {
                (method, part) = random.element(of: [
                    ("PATCH", ""), ("PATCH", ""), ("PUT", "/blobs/"), ("PUT", "/manifests/"), ("POST", ""),
                    ("HEAD", "/blobs/"),
                    ("GET", "/v2/"), ("HEAD", "/manifests/"),
                ])
            }
            let fault = fault(on: method)
            switch fault {
            case .length, .corrupt, .otherDigest, .rangeLabel, .otherRange, .swappedRange, .wholeBlob: spoils = true
            default: break
            }
            // A resumed read is where ranges are asked for.
            if verb.isPull, UInt64.random(in: 0..<3, using: &random) == 0 {
                registry.plan(.answerCut(after: place()), on: "GET", "/blobs/")
            }
            registry.plan(fault, on: method, part, after: Int.random(in: 0...2, using: &random))
        }
        return spoils
    }

    /// First, middle or last byte, or one somewhere.
    private mutating func place() -> Int {
        random.element(of: [0, 1, 511, 512, 1 << 20, 5_000_000, Int.random(in: 0...5_000_000, using: &random)])
    }

    private mutating func fault(on method: String) -> TestRegistry.Fault {
        let place = place()
        let head: Int = random.element(of: [-1, -9, -17, -40, -90])
        let ending = random.element(of: [head, place])
        let any: [TestRegistry.Fault] = [
            .status(random.element(of: [408, 429, 500, 502, 503, 504])), .requestCut(after: place),
            .requestReset(after: place), .answerCut(after: ending), .answerReset(after: ending), .stall(after: ending),
            .lostAnswer, .expiry, .restart,
        ]
        switch method {
        case "GET":
            return random.element(
                of: any + [
                    .length(random.element(of: [-1, 1, -1000, 100_000])), .corrupt(at: place), .otherDigest, .wholeBlob,
                    .rangeLabel(random.element(of: [-1, 1, 4096])), .otherRange(random.element(of: [-512, 512])),
                    .swappedRange(random.element(of: [-512, 512])), .drip(bytes: 1, milliseconds: 40),
                ])
        case "PATCH", "PUT": return random.element(of: any + [.forgottenUpload, .forgottenUpload])
        default: return random.element(of: any)
        }
    }

    // MARK: What has to hold

    private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
        if !condition {
            Issue.record(Comment(rawValue: (log + ["faults: \(registry.faultsDone)", what()]).joined(separator: "\n")))
        }
    }

    private func check(_ outcome: Child.Outcome, wasKilled: Bool, spoils: Bool) throws {
        // A login that stops being good in the middle is refused when it is no good either.
        let allowed: Set<Int32> = Set([0, 5] + (wasKilled ? [137] : []) + (spoils ? [8] : []))
        expect(allowed.contains(outcome.status), "ended with \(outcome.status): \(outcome.errors)")
        if outcome.status != 0, outcome.status != 137 {
            expect(outcome.errors.contains("help: "), "no remedy: \(outcome.errors)")
            expect(outcome.output == "", "a result without a success: \(outcome.output)")
        }
        var done: [Int: Int] = [:]
        for line in outcome.errors.split(separator: "\n") where line.hasPrefix("{") {
            guard let event = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                let id = event["id"] as? Int, let count = event["done"] as? Int
            else { continue }
            expect(count >= done[id, default: 0], "progress runs backwards: \(line)")
            if let total = event["total"] as? Int { expect(count <= total, "progress beyond the end: \(line)") }
            done[id] = count
        }
    }

    private func checkPublished(_ wanted: String, isDone: Bool) throws {
        if !verb.isPull {
            let published = registry.manifest("acme/m", "1")
            expect(published == nil || published == wanted, "another image is published: \(published ?? "")")
            expect(published == wanted || !isDone, "nothing is published")
            for (digest, bytes) in registry.blobs {
                expect(Digest.of(bytes).description == digest, "a blob is not what its name says: \(digest)")
            }
            return
        }
        let work = "\(sandbox.path)/desk"
        if verb == .pullToFiles {
            let out = "\(work)/out"
            guard FileManager.default.fileExists(atPath: out) else { return expect(!isDone, "nothing was written") }
            let differences = try FileTree(out).differences(from: FileTree(context))
                .filter { !$0.contains(".kapsule-") && (isDone || !$0.hasPrefix("only there")) }
            expect(differences == [], "files: \(differences)")
            return
        }
        let layout = verb == .pullToStore ? sandbox.store : "\(work)/layout"
        let folder = "\(layout)/blobs/sha256"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where !name.hasPrefix(".") {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
            expect(Digest.of(bytes).hex == name, "a blob is not what its name says: \(name)")
        }
        let index = (try? String(contentsOfFile: "\(layout)/index.json", encoding: .utf8)) ?? ""
        expect(index.contains(wanted) == isDone || !index.contains("sha256:"), "published: \(index)")
        expect(index.contains(wanted) || !isDone, "not published: \(index)")
    }
}

extension SeededGenerator {
    fileprivate mutating func element<T>(of items: [T]) -> T { items[Int(next() % UInt64(items.count))] }
}
