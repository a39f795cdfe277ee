import Foundation
import Glibc
import TestSupport
import Testing

/// One fault at a time, each where it hurts: the build ends with the right bytes, or says why not and publishes nothing.
@Suite(.enabled(if: HubFixture.isUsable, "needs python3 and curl")) struct HubFaultTests {
    struct Fault: CustomTestStringConvertible {
        let testDescription: String
        let rules: [[String: any Sendable]]

        init(_ description: String, _ rules: [String: any Sendable]...) {
            testDescription = description
            self.rules = rules
        }
    }

    static let survivable = [
        Fault(
            "one 503 of each kind of request", ["on": "api", "status": 503, "times": 1],
            ["on": "hub", "status": 503, "times": 1], ["on": "cdn", "status": 503, "times": 1]),
        Fault("429 with a time to wait", ["on": "any", "status": 429, "retry_after": 1, "times": 2]),
        Fault("429 with a rate limit", ["on": "hub", "status": 429, "ratelimit": 1, "times": 2]),
        Fault("resets", ["on": "any", "reset": 1, "times": 3]),
        Fault(
            "more cuts than there are attempts, each after some progress",
            ["on": "cdn", "drop_after": 1_500_000, "times": 9]),
        Fault("cuts of small files", ["on": "hub", "drop_after": 3, "times": 3]),
        Fault("cuts that are resets", ["on": "cdn", "drop_after": 700_000, "drop": "rst", "times": 3]),
        Fault(
            "a cut and then no ranges", ["on": "cdn", "drop_after": 900_000, "times": 1],
            ["on": "cdn", "ignore_range": 1, "skip": 1]),
        Fault("no ranges", ["on": "cdn", "ignore_range": 1]),
        Fault("no lengths", ["on": "any", "chunked": 1]),
        Fault("lengths that are too long", ["on": "any", "content_length": 7, "times": 2]),
        Fault("lengths that are too short", ["on": "any", "content_length": -7, "times": 2]),
        Fault("bodies that are too short", ["on": "any", "short": 9, "times": 3]),
        Fault("a stall", ["on": "cdn", "stall_after": 500_000, "stall": 30, "times": 1]),
        Fault("expired signatures in the middle", ["on": "cdn", "status": 403, "skip": 1, "times": 3]),
        Fault("one flipped byte of a large file", ["on": "cdn", "corrupt_at": 9_000_000, "times": 1, "skip": 2]),
        Fault("one flipped byte of a small file", ["on": "hub", "match": "config.json", "corrupt_at": 3, "times": 1]),
        Fault("another ETag", ["on": "any", "etag": "W/\"0000\""]),
        Fault(
            "no headers of the hub",
            ["on": "any", "no_header": "X-Repo-Commit+X-Linked-Etag+X-Linked-Size+ETag+Accept-Ranges"]),
    ]

    @Test(arguments: survivable) func endsWithTheRightBytes(_ fault: Fault) throws {
        let fixture = try HubFixture(["--max-single-get", "1000000"])
        fixture.sandbox.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "2"
        try fixture.hub.setFaults(fault.rules)
        let outcome = try fixture.build("hf://acme/m", ["--no-check"], into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }

    /// Before a build moves weights it looks at their headers, of which nothing is proved then.
    @Test func aFlippedByteOfAHeaderIsFetchedAgainOnceAndThenRefused() throws {
        let fixture = try HubFixture()
        for (times, status) in [(1, 0 as Int32), (1000, 8)] {
            try fixture.hub.setFaults([["on": "cdn", "corrupt_at": 3, "times": times]])
            try fixture.hub.forget()
            let outcome = try fixture.build("hf://acme/m", ["--no-cache"], into: "out-\(times)")
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(fixture.isPublished("out-\(times)") == (status == 0))
            guard status != 0 else { continue }
            let digest = try fixture.sandbox.tool("sha256sum", ["\(fixture.root.path)/acme/m/model.safetensors"])
            #expect(outcome.errors.contains("model.safetensors"))
            #expect(
                outcome.errors.contains(
                    "it was fetched twice, and its source says that all of it is sha256:\(digest.prefix(64))"),
                "\(outcome.errors)")
        }
        #expect(try fixture.layers("out-1") == fixture.layersOfDirectory())
    }

    static let fatal: [(Fault, Int32, String)] = [
        (
            Fault("a large file that is never right", ["on": "cdn", "corrupt_at": 9_000_000]), 8,
            "model.safetensors is not what its source promised"
        ),
        (
            Fault("a small file that is never right", ["on": "hub", "match": "config.json", "corrupt_at": 3]), 8,
            "config.json of acme/m is not what git has at commit"
        ),
        (Fault("a hub that is down", ["on": "api", "status": 503]), 5, "fails"),
        (Fault("a storage that is down", ["on": "cdn", "status": 503]), 5, "cannot fetch model.safetensors of acme/m"),
        (
            Fault("signatures that are never good", ["on": "cdn", "status": 403]), 5,
            "cannot fetch model.safetensors of acme/m"
        ),
        (
            Fault(
                "a file that is gone", ["on": "hub", "match": "config.json", "status": 404, "code": "EntryNotFound"]),
            5, "the revision has no such file"
        ),
        (
            Fault("too many requests for ever", ["on": "hub", "status": 429, "retry_after": 0]), 5,
            "has had too many requests"
        ),
    ]

    @Test(arguments: fatal) func saysWhyAndPublishesNothing(_ fault: Fault, _ status: Int32, _ words: String) throws {
        let fixture = try HubFixture()
        try fixture.hub.setFaults(fault.rules)
        for check in [[], ["--no-check"]] {
            let outcome = try fixture.build("hf://acme/m", check, into: "out")
            #expect(outcome.status == status)
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
            #expect(!fixture.isPublished("out"))
        }
        #expect(fixture.sandbox.debris == [])
    }

    /// A peer repeated nothing but the upload itself.
    @Test(.enabled(if: EndToEnd.hasRegistry), arguments: ["POST", "PATCH", "PUT", "HEAD"])
    func aRegistryThatFailsOnceIsAskedAgain(_ method: String) throws {
        let fixture = try HubFixture()
        let registry = try ThrowawayRegistry()
        let proxy = try RegistryFaultProxy(to: registry.port)
        try proxy.setFaults([["method": method, "status": 503, "times": 1]])
        let outcome = try fixture.sandbox.start(["build", "-q", "-t", "\(proxy.host)/m:1", "hf://acme/m"]).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        try fixture.sandbox.done("verify", "\(proxy.host)/m:1")
    }

    @Test(arguments: [SIGTERM, SIGINT]) func anInterruptEndsItAtOnceAndLeavesNothing(_ signal: Int32) throws {
        let fixture = try HubFixture()
        try fixture.hub.setFaults([["on": "cdn", "stall_after": 1000, "stall": 3600]])
        let child = try fixture.sandbox.start(["build", "-q", "--no-check", "-o", "out", "hf://acme/m"])
        while try !fixture.hub.requests.contains(where: { $0.path.contains("tokenizer.json") }) { usleep(20_000) }
        child.kill(signal)
        // Within seconds on a machine that does ten things at a time; the stall would take an hour.
        #expect(child.ends(within: .seconds(20)))
        #expect(try child.wait().status == 128 + signal)
        #expect(!fixture.isPublished("out"))
        #expect(fixture.sandbox.debris == [])
    }

    /// What was fetched by a build that was killed is not fetched again.
    @Test func aKilledBuildGoesOnWithTheFilesThatItHas() throws {
        let fixture = try HubFixture { root in
            try HubFixture.few(root)
            try root.write("acme/m/second.safetensors", SampleModel.safetensors(17 << 20, seed: 5))
        }
        try fixture.hub.setFaults([
            ["on": "cdn", "match": "second.safetensors", "stall_after": 1_000_000, "stall": 3600]
        ])
        let child = try fixture.sandbox.start(["build", "-q", "--no-check", "-t", "m:1", "hf://acme/m"])
        let blobs = "\(fixture.sandbox.store)/blobs/sha256"
        // Until the first large layer has its name.
        var isThere = false
        while !isThere {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: blobs)) ?? []
            isThere = try names.contains { name in
                let size = try FileManager.default.attributesOfItem(atPath: "\(blobs)/\(name)")[.size] as? Int ?? 0
                return size > 16 << 20
            }
            usleep(20_000)
        }
        child.kill(SIGKILL)
        _ = try child.wait()
        try fixture.hub.setFaults([])
        try fixture.hub.forget()
        let outcome = try fixture.sandbox.start(["build", "-q", "--no-check", "-t", "m:1", "hf://acme/m"]).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let sent = try fixture.hub.requests.filter { $0.server == "cdn" }.reduce(0) { $0 + $1.sent }
        // Of the second one, what had come of it is not, either.
        #expect(sent <= 17 << 20 && sent > 15 << 20, "\(sent)")
    }
}
