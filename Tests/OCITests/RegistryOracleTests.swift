import Foundation
import HTTP
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import OCI
import Synchronization
import TestSupport
import Testing

/// Against Docker's own registry.
@Suite(.enabled(if: TestProgram.registry.isUsable, "docker-registry is not installed: apt-get install docker-registry"))
struct RegistryOracleTests {
    static func session(
        _ credentials: CredentialStore = .anonymous, _ change: (inout RegistryOptions) -> Void = { _ in }
    ) -> RegistrySession {
        var options = RegistryOptions(environment: ["KAPSULE_RETRY_DELAY_MS": "1"])
        options.certificateDirectories = []
        change(&options)
        return RegistrySession(options, credentials: credentials)
    }

    static func client(
        _ registry: ThrowawayRegistry, _ credentials: CredentialStore = .anonymous, _ access: RegistryAccess = .push,
        _ change: (inout RegistryOptions) -> Void = { _ in }
    ) throws -> RegistryClient {
        try session(credentials, change).client(for: Reference(parsing: "\(registry.host)/acme/m:1"), access: access)
    }

    static func blob(_ count: Int, seed: UInt64 = 7) -> (Descriptor, [UInt8]) {
        blobs.withLock { blobs in
            if let blob = blobs["\(count) \(seed)"] { return blob }
            var random = SeededGenerator(seed: seed)
            let bytes = random.bytes(count)
            let blob = (Descriptor(mediaType: MediaType.tar, digest: Digest.of(bytes), size: Int64(count)), bytes)
            blobs["\(count) \(seed)"] = blob
            return blob
        }
    }

    private static let blobs = Mutex<[String: (Descriptor, [UInt8])]>([:])

    /// Pushes an image of one layer, and reads it back.
    static func roundTrip(_ client: RegistryClient, count: Int = 3_000_000) throws {
        let (layer, bytes) = blob(count)
        let config = Document<ImageConfig>.testing(layer)
        #expect(try !client.hasBlob(layer.artifact))
        #expect(try client.uploadBlob(layer, from: MemorySource(bytes)) == .uploaded)
        #expect(try client.uploadBlob(layer, from: MemorySource(bytes)) == .existed)
        try client.uploadBlob(
            Descriptor(mediaType: MediaType.config, digest: config.digest, size: config.size),
            from: MemorySource(config.bytes))
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.config, digest: config.digest, size: config.size), layers: [layer])
        let document = manifest.encoded()
        #expect(try client.headManifest(.tag("1")) == nil)
        try client.putManifest(document.bytes, mediaType: MediaType.manifest, as: .tag("1"))
        let read = try client.manifest(.tag("1"))
        #expect(read.bytes == document.bytes)
        #expect(read.mediaType == MediaType.manifest)
        #expect(try client.manifest(.digest(document.digest)).digest == document.digest)
        #expect(try client.headManifest(.tag("1"))?.digest == document.digest)
        #expect(try client.verified(layer) == bytes)
        #expect(try client.verified(manifest.config) == config.bytes)
        #expect(try client.tags() == ["1"])
    }

    @Test func pushesAndPullsWithoutLogin() throws {
        let registry = try ThrowawayRegistry()
        try Self.roundTrip(try Self.client(registry))
        #expect(registry.openUploads == [])
    }

    @Test(.enabled(if: TestProgram.htpasswd.isUsable, "htpasswd is not installed: apt-get install apache2-utils"))
    func pushesAndPullsWithBasic() throws {
        let registry = try ThrowawayRegistry(.basic("bob", "builder"))
        try Self.roundTrip(
            try Self.client(registry, CredentialStore(environment: [:], username: "bob", password: "builder")))
        #expect(registry.openUploads == [])
        #expect {
            try Self.client(registry, CredentialStore(environment: [:], username: "bob", password: "wrong")).ping()
        } throws: { ($0 as? KapsuleError)?.code == .unauthorized }
        #expect { try Self.client(registry).manifest(.tag("1")) } throws: { error in
            let error = error as? KapsuleError
            return error?.code == .unauthorized && error?.remedy == "run 'kapsule login \(registry.host)'"
        }
    }

    static let needsPython: ConditionTrait = .enabled(
        if: TestProgram.pythonCryptography.isUsable,
        "python3 with cryptography is not installed: apt-get install python3-cryptography")
    static let needsOpenSSL: ConditionTrait = .enabled(
        if: TestProgram.openssl.isUsable, "openssl is not installed: apt-get install openssl")

    static let alice = CredentialStore(
        environment: [:], username: TokenServer.user, password: TokenServer.password)

    @Test(needsPython, needsOpenSSL, arguments: [[], ["--only-access-token"], ["--weak-first"]])
    func pushesAndPullsWithTokens(_ options: [String]) throws {
        let server = try TokenServer(options)
        let registry = try ThrowawayRegistry(.token(server))
        try Self.roundTrip(try Self.client(registry, Self.alice))
        // One exchange for all; a second one where the first token turned out to be for less than was asked.
        #expect(server.requests.count == (options == ["--weak-first"] ? 2 : 1))
        #expect(server.requests[0].contains("scope=repository%3Aacme%2Fm%3Apull%2Cpush"))
        #expect(server.requests[0].contains("account=alice") && server.requests[0].hasSuffix("auth=Basic"))
        let anonymous = try Self.client(registry, .anonymous, .pull)
        #expect(try anonymous.manifest(.tag("1")).mediaType == MediaType.manifest)
        let error = #expect(throws: KapsuleError.self) {
            try Self.client(registry).putManifest([1], mediaType: MediaType.manifest, as: .tag("1"))
        }
        #expect(error?.code == .unauthorized)
        let wrong = CredentialStore(environment: [:], username: TokenServer.user, password: "s3cret")
        let refused = #expect(throws: KapsuleError.self) { try Self.client(registry, wrong).tags() }
        #expect(refused?.code == .unauthorized)
        #expect(refused?.message.contains("s3cret") == false)
    }

    @Test(needsPython, needsOpenSSL, arguments: [[], ["--no-post"]])
    func exchangesIdentityTokens(_ options: [String]) throws {
        let server = try TokenServer(options)
        let registry = try ThrowawayRegistry(.token(server))
        let directory = try TemporaryDirectory()
        let file = try directory.write(
            "auth.json", #"{"auths":{"\#(registry.host)":{"identitytoken":"\#(server.identityToken)"}}}"#)
        let store = CredentialStore(environment: ["REGISTRY_AUTH_FILE": file])
        guard options.isEmpty else {
            // Without OAuth2 the token is tried as a password, which this server does not take for one.
            #expect(throws: KapsuleError.self) { try Self.client(registry, store).tags() }
            #expect(server.requests.map { $0.prefix(4) } == ["POST", "GET "])
            return
        }
        try Self.roundTrip(try Self.client(registry, store))
        #expect(server.requests.count == 1)
        #expect(server.requests[0].contains("application/x-www-form-urlencoded"))
    }

    @Test(needsPython, needsOpenSSL) func sharesOneExchangeBetweenThreads() async throws {
        let server = try TokenServer()
        let registry = try ThrowawayRegistry(.token(server))
        let client = try Self.client(registry, Self.alice)
        let (layer, bytes) = Self.blob(1000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask(executorPreference: Self.threads) {
                    try client.uploadBlob(layer, from: MemorySource(bytes))
                }
            }
            try await group.waitForAll()
        }
        #expect(server.requests.count == 1)
    }

    static let threads = BlockingExecutor(threads: 6)

    @Test(needsOpenSSL) func speaksTLS() throws {
        let certificates = try TestCertificates()
        let registry = try ThrowawayRegistry(tls: certificates)
        try Self.roundTrip(try Self.client(registry) { $0.caFile = certificates.authority })
        try #expect(Self.client(registry) { $0.insecure = true }.tags() == ["1"])
        let directory = try TemporaryDirectory()
        let authority = try String(contentsOfFile: certificates.authority, encoding: .utf8)
        try directory.write("\(registry.host)/ca.crt", authority)
        try #expect(Self.client(registry) { $0.certificateDirectories = [directory.path] }.tags() == ["1"])
        let error = #expect(throws: KapsuleError.self) { try Self.client(registry).tags() }
        #expect(error?.id == "http.tls-trust")
        #expect(error?.remedy?.contains("/etc/docker/certs.d/\(registry.host)/ca.crt") == true)
        let missing = #expect(throws: KapsuleError.self) { try Self.client(registry) { $0.caFile = "/nowhere" }.tags() }
        #expect(missing?.code == .usage)
    }

    @Test func mountsAndLists() throws {
        let registry = try ThrowawayRegistry()
        let session = Self.session()
        let first = try session.client(for: Reference(parsing: "\(registry.host)/a/first"), access: .push)
        let second = try session.client(for: Reference(parsing: "\(registry.host)/b/second"), access: .push)
        let (layer, bytes) = Self.blob(100_000)
        try first.uploadBlob(layer, from: MemorySource(bytes))
        #expect(try !second.mountBlob(layer.digest, from: "no/such"))
        #expect(try second.uploadBlob(layer, from: MemorySource(bytes), mountFrom: ["no/such", "a/first"]) == .mounted)
        #expect(try second.hasBlob(layer.artifact))
        #expect(registry.openUploads == [], "sessions opened instead of a mount are closed")
        #expect(try second.tags() == [])
        let index = ImageIndex(manifests: []).encoded()
        for tag in ["b", "a", "C"] { try second.putManifest(index.bytes, mediaType: MediaType.index, as: .tag(tag)) }
        #expect(try second.tags() == ["C", "a", "b"])
        #expect(try second.manifest(.tag("a")).mediaType == MediaType.index)
        let error = #expect(throws: KapsuleError.self) { try second.manifest(.tag("d")) }
        #expect(error?.id == "registry.not-found")
        #expect(error?.code == .unavailable)
    }

    @Test(arguments: [0, 1, 2, 70_000]) func uploadsBlobsOfAnySize(_ count: Int) throws {
        let registry = try ThrowawayRegistry()
        let client = try Self.client(registry)
        let (layer, bytes) = Self.blob(count)
        try client.uploadBlob(layer, from: MemorySource(bytes))
        let (other, more) = Self.blob(count, seed: 9)
        let upload = try client.beginStreamedUpload(size: other.size)
        try upload.write(more.span)
        try upload.finish(other.digest)
        for (blob, expected) in [(layer, bytes), (other, more)] {
            #expect(try client.verified(blob) == expected)
            for range in [
                0..<Int64(count), Int64(count)..<Int64(count), Int64(count / 2)..<Int64(count), 0..<Int64(count / 2),
            ] {
                var sink = MemorySink()
                try client.blob(blob).read(range, into: &sink)
                #expect(sink.bytes == Array(expected[Int(range.lowerBound)..<Int(range.upperBound)]))
            }
        }
    }

    @Test func endsWhatItDoesNotFinish() throws {
        let registry = try ThrowawayRegistry()
        let client = try Self.client(registry)
        let (layer, bytes) = Self.blob(2_000_000)
        do {
            let upload = try client.beginStreamedUpload(size: layer.size * 2)
            try upload.write(bytes.span)
        }
        // This registry cannot end a session whose body was cut; it is told all the same.
        try registry.waitForLog("DELETE /v2/acme/m/blobs/uploads/")
    }

    @Test func leavesNothingBehindThatWasRefused() throws {
        let registry = try ThrowawayRegistry()
        let client = try Self.client(registry)
        let (layer, bytes) = Self.blob(2_000_000)
        let refused = #expect(throws: KapsuleError.self) {
            try client.uploadBlob(layer, from: MemorySource([0] + bytes.dropLast()))
        }
        #expect(refused?.code == .unverified)
        #expect(registry.openUploads == [])
    }

    @Test func saysWhichBlobIsMissing() throws {
        let registry = try ThrowawayRegistry()
        let (layer, _) = Self.blob(10)
        let manifest = Manifest(config: layer, layers: [layer]).encoded()
        let error = #expect(throws: KapsuleError.self) {
            try Self.client(registry).putManifest(manifest.bytes, mediaType: MediaType.manifest, as: .tag("x"))
        }
        #expect(error?.id == "registry.blob-unknown")
    }

    @Test func copiesFromOneRegistryToAnother() throws {
        let (from, to) = (try ThrowawayRegistry(), try ThrowawayRegistry())
        let (layer, bytes) = Self.blob(3_000_000)
        let (source, target) = (try Self.client(from), try Self.client(to))
        try source.uploadBlob(layer, from: MemorySource(bytes))
        try target.uploadBlob(layer, from: source.blob(layer))
        #expect(try target.verified(layer) == bytes)
    }

    @Test func streamsABlobWhoseDigestIsKnownAtTheEnd() throws {
        try Self.stream(to: try ThrowawayRegistry())
    }

    /// HTTP/2, which this registry negotiates.
    @Test(needsOpenSSL) func streamsABlobOverTLS() throws {
        let certificates = try TestCertificates()
        try Self.stream(to: try ThrowawayRegistry(tls: certificates)) { $0.caFile = certificates.authority }
    }

    static func stream(to registry: ThrowawayRegistry, _ change: (inout RegistryOptions) -> Void = { _ in }) throws {
        let client = try Self.client(registry, .anonymous, .push, change)
        let (layer, bytes) = Self.blob(5_000_001)
        let upload = try client.beginStreamedUpload(size: layer.size)
        for start in stride(from: 0, to: bytes.count, by: 70_000) {
            try upload.write(bytes.span.extracting(start..<min(bytes.count, start + 70_000)))
        }
        try upload.finish(layer.digest)
        #expect(try client.hasBlob(layer.artifact))
        var sink = MemorySink()
        try client.readBlob(layer, range: 1_000_000..<4_000_000, into: &sink)
        #expect(sink.bytes == Array(bytes[1_000_000..<4_000_000]))
        #expect(registry.openUploads == [])
    }
}

extension Document<ImageConfig> {
    static func testing(_ layer: Descriptor) -> Document<ImageConfig> {
        ImageConfig(platform: Platform(os: "linux", architecture: "amd64"), diffIDs: [layer.digest]).encoded()
    }
}

extension RegistryClient {
    /// All of a blob, checked.
    func verified(_ blob: Descriptor) throws -> [UInt8] {
        var sink = VerifyingSink(MemorySink(), expecting: blob.artifact, what: "blob")
        try readBlob(blob, into: &sink)
        try sink.finish()
        return sink.next.bytes
    }
}
