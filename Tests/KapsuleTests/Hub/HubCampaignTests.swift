import Foundation
import Glibc
import TestSupport
import Testing

/// Builds from a hub, a storage and a registry that fail in every way at random, some of them killed on the way. Each ends
/// with the right bytes, or with the right status and nothing published.
///
/// Drawn from seeds: a sample, or as many as `KAPSULE_HUB_CAMPAIGN` says; `KAPSULE_TEST_SEED=n` draws one again.
@Suite(.enabled(if: HubFixture.isUsable && EndToEnd.hasRegistry, "needs python3, curl and docker-registry"))
struct HubCampaignTests {
    /// Runs that share a hub and a registry.
    static let batch: UInt64 = 5

    static var batches: [Range<UInt64>] {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["KAPSULE_TEST_SEED"].flatMap(UInt64.init) { return [seed..<seed + 1] }
        let count = environment["KAPSULE_HUB_CAMPAIGN"].flatMap(UInt64.init) ?? 15
        return stride(from: 0, to: count, by: Int(batch)).map { $0..<min(count, $0 + batch) }
    }

    @Test(arguments: batches) func everyRunIsRightOrSaysWhyNot(_ seeds: Range<UInt64>) throws {
        let campaign = try Campaign()
        for seed in seeds { try campaign.run(seed) }
    }
}

/// What the runs of a batch share.
private final class Campaign {
    enum Output: CaseIterable { case layout, registry, verity, directory }

    private let fixture: HubFixture
    private let registry: ThrowawayRegistry
    private let proxy: RegistryFaultProxy
    /// What a build without faults says, by output.
    private var expected: [Output: String] = [:]

    init() throws {
        fixture = try HubFixture(["--no-gzip"]) { root in
            try root.write("acme/m/config.json", #"{"a":1}"#)
            try root.write("acme/m/tokenizer.json", SeededBytes.of(60_000, seed: 4))
            try root.write("acme/m/sub dir/#notes.txt", SeededBytes.of(700, seed: 5))
            try root.write("acme/m/small.safetensors", SampleModel.safetensors(300_000, seed: 6))
            try root.write("acme/m/large.safetensors", SampleModel.safetensors(17_500_000, seed: 7))
        }
        registry = try ThrowawayRegistry()
        proxy = try RegistryFaultProxy(to: registry.port)
        for output in Output.allCases {
            let outcome = try fixture.sandbox.start(command(output, "clean", [])).wait()
            try #require(outcome.status == 0, "\(output): \(outcome.errors)")
            expected[output] = try content(outcome.output)
        }
    }

    /// Both parts of a reference that name content, without where it is.
    private func content(_ reference: String) throws -> String {
        reference.contains("@sha256:")
            ? try EndToEnd.digest(in: reference) : reference.split(separator: "/").last.map(String.init) ?? ""
    }

    private func command(_ output: Output, _ name: String, _ flags: [String]) -> [String] {
        let common = ["build", "-q"] + flags
        switch output {
        case .layout: return common + ["-o", name, "hf://acme/m"]
        case .registry: return common + ["-t", "\(proxy.host)/\(name):1", "hf://acme/m"]
        case .verity: return common + ["--format", "verity", "-o", name, "hf://acme/m"]
        case .directory: return common + ["--format", "hf", "-o", name, "hf://acme/m"]
        }
    }

    func run(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed &* 7919 &+ 17)
        let output = Output.allCases[Int(seed % 4)]
        var faults = FaultDraw()
        faults.draw(&random, registry: output == .registry)
        try fixture.hub.setFaults(faults.hub)
        try proxy.setFaults(faults.registry)
        // A cache of its own: nothing is known of files that were built before.
        let sandbox = try Sandbox()
        sandbox.environment["HF_ENDPOINT"] = fixture.hub.endpoint
        sandbox.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "2"
        let flags =
            ["--concurrency", "\([1, 2, 4, 8][Int.random(in: 0..<4, using: &random)])"]
            + (Bool.random(using: &random) ? ["--no-check"] : [])
        let command = command(output, "run-\(seed)", flags)
        let what = "KAPSULE_TEST_SEED=\(seed) \(output) \(faults)"
        for _ in 0..<(Int.random(in: 0..<3, using: &random) == 0 ? 2 : 0) {
            let child = try sandbox.start(command)
            _ = child.ends(within: .milliseconds(Int.random(in: 1...600, using: &random)))
            child.kill(SIGKILL)
            let outcome = try child.wait()
            // It may have been done before, and what it made have its name by then.
            if outcome.status == 128 + SIGKILL, try isPublished(sandbox, output, seed) {
                try checkResult(sandbox, output, seed, what, isKilled: true)
                try proxy.setFaults(faults.registry)
            } else if outcome.status == 128 + SIGKILL {
                try checkNothingWrong(sandbox, output, seed, what, isKilled: true)
            }
        }
        let outcome = try sandbox.start(command).wait(atMost: .seconds(300))
        if outcome.status == 0 {
            #expect(try content(outcome.output) == expected[output] || output == .directory, "\(what)")
            try checkResult(sandbox, output, seed, what)
        } else {
            #expect([5, 8].contains(outcome.status), "\(what): \(outcome.status) \(outcome.errors)")
            #expect(!faults.isSurvivable, "\(what): \(outcome.status) \(outcome.errors)")
            try checkNothingWrong(sandbox, output, seed, what, isKilled: false)
        }
        print("campaign \(seed) \(output): \(outcome.status) \(faults.isSurvivable ? "survivable" : "may fail")")
    }

    /// Every byte of what was made.
    ///
    /// - Parameter isKilled: whether what is only needed to go on may still be there.
    private func checkResult(
        _ sandbox: Sandbox, _ output: Output, _ seed: UInt64, _ what: String, isKilled: Bool = false
    ) throws {
        try proxy.setFaults([])
        let place = "\(sandbox.path)/desk/run-\(seed)"
        switch output {
        case .layout: try sandbox.done("verify", "oci:\(place)")
        case .registry: try sandbox.done("verify", "127.0.0.1:\(registry.port)/run-\(seed):1")
        case .verity:
            let differences = try FileTree(place).differences(
                from: FileTree("\(fixture.sandbox.path)/desk/clean"), ignoring: []
            ).filter { !$0.hasPrefix("only there") && !(isKilled && $0.contains("/.kapsule-partial")) }
            #expect(differences == [], "\(what)")
        case .directory: #expect(try directoryDifferences(place) == [], "\(what)")
        }
    }

    private func directoryDifferences(_ place: String) throws -> [String] {
        try FileTree(place).differences(from: FileTree("\(fixture.root.path)/acme/m"), ignoring: ["Modelfile"])
    }

    /// Whether what is written last is there. Files of a directory get their names one by one.
    private func isPublished(_ sandbox: Sandbox, _ output: Output, _ seed: UInt64) throws -> Bool {
        let place = "\(sandbox.path)/desk/run-\(seed)"
        switch output {
        case .layout:
            let index = try? HubFixture.json("\(place)/index.json")
            return (index?["manifests"] as? [Any])?.isEmpty == false
        case .registry:
            // The registry itself, not through the proxy.
            let status = try TestProgram.curl.check([
                "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                "Accept: application/vnd.oci.image.manifest.v1+json",
                "http://127.0.0.1:\(registry.port)/v2/run-\(seed)/manifests/1",
            ])
            return status != "404"
        case .verity: return Self.visible(place).contains { $0.hasSuffix(".info") }
        case .directory: return false
        }
    }

    /// Nothing has a name that is not right and whole.
    private func checkNothingWrong(
        _ sandbox: Sandbox, _ output: Output, _ seed: UInt64, _ what: String, isKilled: Bool
    ) throws {
        let place = "\(sandbox.path)/desk/run-\(seed)"
        #expect(try !isPublished(sandbox, output, seed), "\(what)")
        if output == .directory {
            // Files may be there that were finished; each of them is right.
            let wrong =
                try Self.visible(place).isEmpty
                ? [] : directoryDifferences(place).filter { $0.hasPrefix("other bytes") }
            #expect(wrong == [], "\(what)")
        }
        // An image may be there before its description, which a further run writes anew; but only for a moment.
        if !isKilled, output == .verity { #expect(Self.visible(place).isEmpty, "\(what): \(Self.visible(place))") }
        if !isKilled { #expect(sandbox.debris.filter { $0.hasPrefix("tmp/") } == [], "\(what)") }
    }

    /// Files below a directory, temporary ones not among them.
    private static func visible(_ place: String) -> [String] {
        ((try? FileTree(place).files) ?? []).filter { !$0.split(separator: "/").contains { $0.hasPrefix(".kapsule") } }
    }
}

/// Faults as a seed draws them.
private struct FaultDraw: CustomStringConvertible {
    var hub: [[String: Any]] = []
    var registry: [[String: Any]] = []
    /// Whether a client that tries five times, and reads what is wrong twice, has to come through.
    private(set) var isSurvivable = true
    private var hits = 0

    var description: String { "hub \(hub) registry \(registry)" }

    mutating func draw(_ random: inout SeededGenerator, registry isRegistry: Bool) {
        for _ in 0..<Int.random(in: 1...3, using: &random) { drawHub(&random) }
        if isRegistry { for _ in 0..<Int.random(in: 0...2, using: &random) { drawRegistry(&random) } }
    }

    private mutating func drawHub(_ random: inout SeededGenerator) {
        let offset = Int.random(in: 0..<18_000_000, using: &random)
        let times = Int.random(in: 1...8, using: &random) == 8 ? 0 : Int.random(in: 1...3, using: &random)
        var rule: [String: Any] = ["times": times, "skip": Int.random(in: 0...3, using: &random)]
        switch Int.random(in: 0..<14, using: &random) {
        case 0: rule.merge(["on": "api", "status": [500, 502, 503, 429].randomElement(using: &random) ?? 500]) { $1 }
        case 1: rule.merge(["on": "any", "reset": 1]) { $1 }
        case 2: rule.merge(["on": "cdn", "drop_after": offset]) { $1 }
        case 3: rule.merge(["on": "hub", "drop_after": offset % 60_000]) { $1 }
        case 4: rule.merge(["on": "any", "drop_after": offset / 7, "drop": "rst"]) { $1 }
        case 5: rule.merge(["on": "any", "status": 429, "retry_after": 1]) { $1 }
        case 6: rule.merge(["on": "hub", "status": 429, "ratelimit": 2]) { $1 }
        case 7: rule.merge(["on": "cdn", "status": 403]) { $1 }
        case 8: rule.merge(["on": "cdn", "ignore_range": 1]) { $1 }
        case 9: rule.merge(["on": "any", "content_length": Int.random(in: -50...50, using: &random)]) { $1 }
        case 10: rule.merge(["on": "any", "short": offset % 50_000]) { $1 }
        case 11: rule.merge(["on": "any", "chunked": 1]) { $1 }
        case 12:
            // Stalls cost time: never for ever.
            rule.merge(["on": "cdn", "stall_after": offset / 3, "stall": 60, "times": 1]) { $1 }
        default:
            rule.merge(["on": "any", "corrupt_at": "\(offset)+\(offset % 60_000)+\(offset % 500)"]) { $1 }
            isSurvivable = false
        }
        // Without an end, or so often that five attempts in a row may fail.
        hits += times
        if times == 0 || hits > 4 { isSurvivable = false }
        hub.append(rule)
    }

    private mutating func drawRegistry(_ random: inout SeededGenerator) {
        let times = Int.random(in: 1...2, using: &random)
        var rule: [String: Any] = [
            "times": times, "skip": Int.random(in: 0...3, using: &random),
            "method": ["POST", "PATCH", "PUT", "HEAD", "GET"].randomElement(using: &random) ?? "PATCH",
        ]
        switch Int.random(in: 0..<3, using: &random) {
        case 0: rule["status"] = [500, 502, 503, 429].randomElement(using: &random)
        case 1: rule["drop_after"] = Int.random(in: 0..<18_000_000, using: &random)
        default: rule["drop_reply"] = 1
        }
        hits += times
        if hits > 4 { isSurvivable = false }
        registry.append(rule)
    }
}
