import Foundation
import HTTP
import KapsuleCore
import OCI
import Synchronization
import TestSupport
import Testing

/// Uploads that break off, and registries that want their bytes in a form of their own.
@Suite struct UploadTests {
    static let (blob, bytes) = RegistryOracleTests.blob(3_000_000)

    /// A registry, and a cache that several runs share.
    struct Place {
        let registry: TestRegistry
        let cache: TemporaryDirectory

        init(_ change: (inout TestRegistry.Character) -> Void = { _ in }) throws {
            registry = try TestRegistry(TestRegistryTests.character(change))
            cache = try TemporaryDirectory()
        }

        /// What a new process has: nothing in memory.
        func client(attempts: Int = 5) throws -> RegistryClient {
            try RegistryOracleTests.session(CredentialStore(environment: [:], username: "u", password: "p")) {
                $0.cacheDirectory = cache.path
                $0.retry.attempts = attempts
                $0.transport.stallTimeout = .milliseconds(400)
            }.client(for: Reference(parsing: "\(registry.host)/acme/m"), access: .push)
        }

        @discardableResult
        func upload(attempts: Int = 5) throws -> Activity {
            let activity = Activity("blob", total: blob.size)
            try client(attempts: attempts).uploadBlob(blob, from: MemorySource(bytes), activity: activity)
            return activity
        }

        var methods: [String] {
            registry.requests.filter { $0.path != "/v2/" && $0.path != "/token" }.map(\.method)
        }

        /// What is kept for later runs.
        var notes: [String] { (try? FileManager.default.contentsOfDirectory(atPath: "\(cache.path)/uploads")) ?? [] }

        func expectWhole(line: Int = #line) {
            let location = SourceLocation(fileID: #fileID, filePath: #filePath, line: line, column: 1)
            #expect(registry.blobs[blob.digest.description] == bytes, sourceLocation: location)
            #expect(registry.openUploads == 0, sourceLocation: location)
            #expect(notes == [], sourceLocation: location)
        }
    }

    @Test(arguments: [
        TestRegistry.Fault.requestCut(after: 1_500_000), .requestReset(after: 1_500_000), .answerCut(after: -10),
        .lostAnswer, .stall(after: -5), .status(503),
    ]) func goesOnWhereTheRegistryStands(_ fault: TestRegistry.Fault) throws {
        let place = try Place()
        place.registry.plan(fault, on: "PATCH")
        let activity = try place.upload()
        place.expectWhole()
        #expect(activity.done == Self.blob.size)
        guard fault != .status(503) else { return }
        #expect(place.registry.bytesReceived == Self.blob.size, "no byte twice")
        #expect(place.methods.prefix(4) == ["HEAD", "POST", "PATCH", "GET"])
    }

    @Test func goesOnInAnotherProcess() throws {
        let place = try Place()
        place.registry.plan(.requestCut(after: 2_700_000), on: "PATCH")
        #expect(throws: KapsuleError.self) { try place.upload(attempts: 1) }
        let note = try #require(place.notes.first)
        let path = "\(place.cache.path)/uploads/\(note)"
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        place.registry.resetCounters()
        try place.upload()
        place.expectWhole()
        #expect(place.registry.bytesReceived == 300_000)
        #expect(place.methods == ["HEAD", "POST", "PATCH", "HEAD", "GET", "PATCH", "PUT"])
    }

    /// As behind proxies that compress.
    @Test func sendsNothingAgainToARegistryThatSaysNoLengths() throws {
        let place = try Place { $0.lengths = false }
        #expect(try !place.client().hasBlob(Self.blob.artifact))
        try place.upload()
        place.registry.resetCounters()
        try place.upload()
        #expect(try place.client().hasBlob(Self.blob.artifact))
        #expect(place.registry.bytesReceived == 0)
    }

    /// Google's and JFrog's, where the address is signed for GET alone.
    @Test func takesARefusalOfStorageForNoBlob() throws {
        let storage = try LoopbackServer { _ in LoopbackServer.Reply(403) }
        let registry = try LoopbackServer { request in
            request.method == "HEAD"
                ? LoopbackServer.Reply(307, ["Location: \(storage.base)/x?signature=s"]) : LoopbackServer.Reply(200)
        }
        let client = try RegistryOracleTests.session().client(
            for: Reference(parsing: "\(registry.host)/acme/m"), access: .push)
        #expect(try !client.hasBlob(Self.blob.artifact))
        #expect(storage.requests.count == 1)
    }

    /// Harbor's and ECR's immutable tags.
    @Test(arguments: [(412, "PRECONDITION", "the tag is immutable"), (400, "TAG_INVALID", "The tag is immutable.")])
    func saysThatATagIsFixed(_ status: Int, _ code: String, _ message: String) throws {
        let place = try Place { $0.fixedTags = (status, code, message) }
        let client = try place.client()
        let index = ImageIndex(manifests: []).encoded()
        func put() throws { try client.putManifest(index.bytes, mediaType: MediaType.index, as: .tag("1")) }
        try put()
        let error = #expect(throws: KapsuleError.self) { try put() }
        #expect(error?.code == .conflict)
        #expect(error?.message.contains("\(message) (\(status))") == true, "\(error?.message ?? "")")
    }

    @Test func keepsNoLogin() throws {
        let place = try Place { $0.access = .token(requests: 100) }
        place.registry.plan(.requestCut(after: 1_000_000), on: "PATCH")
        #expect(throws: KapsuleError.self) { try place.upload(attempts: 1) }
        let text = try String(
            contentsOfFile: "\(place.cache.path)/uploads/\(try #require(place.notes.first))", encoding: .utf8)
        #expect(text.hasPrefix(#"{"location":"http://\#(place.registry.host)/v2/acme/m/blobs/uploads/"#))
        #expect(!text.contains("Bearer") && !text.contains("Basic") && !text.contains("t1"))
    }

    @Test func beginsAnewWhereTheRegistryCannotGoOn() throws {
        let place = try Place { $0.interruption = .breaks }
        place.registry.plan(.requestCut(after: 1_500_000), on: "PATCH")
        try place.upload()
        #expect(place.registry.blobs[Self.blob.digest.description] == Self.bytes)
        #expect(place.methods == ["HEAD", "POST", "PATCH", "GET", "DELETE", "HEAD", "POST", "PATCH", "PUT"])
        #expect(place.notes == [])
    }

    @Test(arguments: ["PATCH", "PUT", "GET"]) func outlivesASessionThatIsForgotten(_ method: String) throws {
        let place = try Place()
        if method == "GET" { place.registry.plan(.requestCut(after: 1_500_000), on: "PATCH") }
        place.registry.plan(.forgottenUpload, on: method, "/uploads/")
        try place.upload()
        place.expectWhole()
    }

    @Test func restartsWhatTheRegistryPutTogetherWrongly() throws {
        let place = try Place()
        // Half of another blob of that length: what a note may lead to.
        place.registry.plan(.requestCut(after: 1_500_000), on: "PATCH")
        let upload = try place.client(attempts: 1)
        #expect(throws: KapsuleError.self) {
            try upload.uploadBlob(Self.blob, from: MemorySource([UInt8](repeating: 7, count: Self.bytes.count)))
        }
        try place.upload()
        place.expectWhole()
    }

    // MARK: Forms

    @Test func sendsWholeBlobsToARegistryThatKnowsNoPATCH() throws {
        let place = try Place { $0.patches = false }
        try place.upload()
        place.expectWhole()
        #expect(place.methods.contains("PATCH"))
        // The next run knows.
        let (other, more) = RegistryOracleTests.blob(1_000_000, seed: 3)
        let before = place.methods.count
        let client = try place.client()
        #expect(try !client.uploadBlob(other, from: MemorySource(more)).isExisting)
        #expect(place.methods.dropFirst(before) == ["HEAD", "POST", "PUT"])
        #expect(!client.takesStreams)
    }

    /// What a registry keeps of a body that was cut is of no use where it takes no PATCH.
    @Test(arguments: [false, true]) func sendsACutBodyAgainToARegistryThatKnowsNoPATCH(
        _ inAnotherProcess: Bool
    ) throws {
        let place = try Place { $0.patches = false }
        place.registry.plan(.requestCut(after: 1_500_000), on: "PUT", "/uploads/")
        // One attempt is spent on learning that there is no PATCH.
        if inAnotherProcess { #expect(throws: KapsuleError.self) { try place.upload(attempts: 2) } }
        try place.upload()
        #expect(place.registry.blobs[Self.blob.digest.description] == Self.bytes)
        #expect(place.notes == [])
        // Of an upload that was begun in place of another, a further process knows nothing; the registry ends it some day.
        #expect(place.registry.openUploads == (inAnotherProcess ? 1 : 0))
        #expect(place.methods.count { $0 == "PATCH" } == 1)
    }

    @Test(arguments: [nil, 1_200_000]) func sendsChunksThroughAProxyThatLimitsBodies(_ shortest: Int?) throws {
        let place = try Place { ($0.longestBody, $0.shortestChunk) = (1_600_000, shortest) }
        try place.upload()
        place.expectWhole()
        let ranges = place.registry.requests.filter { $0.method == "PATCH" }.map { $0["Content-Range"] }
        let size = max(1 << 20, shortest ?? 0)
        #expect(
            ranges == [nil, "0-\(size - 1)", "\(size)-\(2 * size - 1)"]
                + (2 * size < 3_000_000 ? ["\(2 * size)-2999999"] : []))
        // The next run knows.
        let (other, more) = RegistryOracleTests.blob(2_000_000, seed: 3)
        let before = place.methods.count
        try place.client().uploadBlob(other, from: MemorySource(more))
        #expect(place.methods.dropFirst(before) == ["HEAD", "POST", "PATCH", "PATCH", "PUT"])
    }

    @Test func streamsInChunks() throws {
        let place = try Place { $0.longestBody = 1_600_000 }
        try place.upload()
        let (other, more) = RegistryOracleTests.blob(4_000_000, seed: 3)
        let upload = try place.client().beginStreamedUpload(size: other.size)
        for start in stride(from: 0, to: more.count, by: 70_000) {
            try upload.write(more.span.extracting(start..<min(more.count, start + 70_000)))
        }
        try upload.finish(other.digest)
        #expect(place.registry.blobs[other.digest.description] == more)
    }

    @Test func saysWhenEvenTheSmallestChunkIsTooLarge() throws {
        let place = try Place { $0.longestBody = 1000 }
        let error = #expect(throws: KapsuleError.self) { try place.upload() }
        #expect(error?.id == "registry.too-large")
        #expect(place.registry.openUploads == 0)
    }

    // MARK: Streams

    @Test(arguments: [1, 1_500_000, 2_999_999]) func aStreamGoesOnWhereAnotherStopped(_ count: Int) throws {
        let place = try Place()
        do {
            let upload = try place.client().beginStreamedUpload(size: Self.blob.size, key: "lane")
            try upload.write(Self.bytes.span.extracting(first: count))
            upload.abandon()
        }
        for _ in 0..<20 where place.registry.blobs.isEmpty {
            // What was on the way when the first one ended may still be arriving: then the offset is another by now.
            try? Self.stream(to: try place.client())
        }
        #expect(place.registry.blobs[Self.blob.digest.description] == Self.bytes)
        #expect(place.notes == [])
    }

    private static func stream(to client: RegistryClient) throws {
        let upload = try client.beginStreamedUpload(size: blob.size, key: "lane")
        for start in stride(from: 0, to: bytes.count, by: 70_000) {
            try upload.write(bytes.span.extracting(start..<min(bytes.count, start + 70_000)))
        }
        try upload.finish(blob.digest)
    }

    /// The name was kept, and the content was not.
    @Test func aStreamOfOtherBytesBeginsAnew() throws {
        let place = try Place()
        place.registry.plan(.requestCut(after: 2_000_000), on: "PATCH")
        #expect(throws: KapsuleError.self) {
            let upload = try place.client().beginStreamedUpload(size: Self.blob.size, key: "lane")
            try upload.write([UInt8](repeating: 7, count: Self.bytes.count).span)
            try upload.finish(Self.blob.digest)
        }
        var errors: [KapsuleError.Code] = []
        for _ in 0..<2 {
            do {
                let upload = try place.client().beginStreamedUpload(size: Self.blob.size, key: "lane")
                try upload.write(Self.bytes.span)
                try upload.finish(Self.blob.digest)
            } catch let error as KapsuleError { errors.append(error.code) }
        }
        #expect(errors == [.unavailable])
        place.expectWhole()
    }

    // MARK: Tokens and quotas

    @Test(arguments: [1, 2, 3]) func renewsTokensInTheMiddle(_ requests: Int) throws {
        let place = try Place { $0.access = .token(requests: requests) }
        place.registry.plan(.requestCut(after: 1_500_000), on: "PATCH")
        let activity = try place.upload()
        place.expectWhole()
        #expect(activity.done == Self.blob.size)
    }

    /// A second: one thread is told to wait, and another must not ask before.
    @Test func whatOneIsToldHoldsForAll() async throws {
        final class Told: Sendable {
            let at = Mutex<ContinuousClock.Instant?>(nil)
            let early = Atomic(0)
        }
        let told = Told()
        let server = try LoopbackServer { request in
            if request.path == "/v2/" { return .init(200) }
            return told.at.withLock { at in
                guard let start = at else {
                    at = .now
                    return .init(429, ["Retry-After: 1"])
                }
                if ContinuousClock.now - start < .milliseconds(950) { told.early.add(1, ordering: .relaxed) }
                return .init(404)
            }
        }
        let session = RegistryOracleTests.session { $0.retry.longestDelay = .seconds(2) }
        let client = try session.client(for: Reference(parsing: "\(server.host)/acme/m"), access: .push)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<4 {
                group.addTask {
                    // All but the first come when it has had its answer.
                    while index > 0, told.at.withLock({ $0 == nil }) { try await Task.sleep(for: .milliseconds(50)) }
                    if index > 0 { try await Task.sleep(for: .milliseconds(200)) }
                    try await withTaskExecutorPreference(RegistryOracleTests.threads) {
                        _ = try client.hasBlob(Self.blob.artifact)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(told.early.load(ordering: .relaxed) == 0)
    }

    @Test func saysWhatIsLeftOfAQuota() throws {
        let server = try LoopbackServer { request in
            request.path == "/v2/"
                ? .init(200)
                : .init(429, ["Retry-After: 0", "ratelimit-limit: 100;w=21600", "ratelimit-remaining: 0;w=21600"])
        }
        let client = try RegistryOracleTests.session().client(for: Reference(parsing: "\(server.host)/acme/m"))
        let error = #expect(throws: KapsuleError.self) { try client.manifest(.tag("1")) }
        #expect(
            error?.message.hasSuffix("status 429; 0 left of 100 pulls in 6 hours") == true, "\(error?.message ?? "")")
        #expect(error?.remedy?.contains("kapsule login \(server.host)") == true)
    }

    /// Some ten bytes in a second.
    @Test func givesUpAServerThatDrips() throws {
        let place = try Place()
        place.registry.keep(Self.bytes, as: Self.blob.digest.description, in: "acme/m")
        place.registry.plan(.drip(bytes: 1, milliseconds: 100), on: "GET", "/blobs/")
        #expect(try place.client().verified(Self.blob) == Self.bytes)
        #expect(place.methods == ["GET", "GET"])
    }
}

extension BlobUploadOutcome {
    fileprivate var isExisting: Bool { self == .existed }
}
