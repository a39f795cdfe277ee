import HTTP
import KapsuleCore
import KapsuleCrypto
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
        var random = SeededGenerator(seed: seed)
        let bytes = random.bytes(count)
        return (Descriptor(mediaType: MediaType.tar, digest: Digest.of(bytes), size: Int64(count)), bytes)
    }

    /// Pushes an image of one layer, and reads it back.
    static func roundTrip(_ client: RegistryClient, count: Int = 3_000_000) throws {
        let (layer, bytes) = blob(count)
        let config = Document<ImageConfig>.testing(layer)
        #expect(try client.blobSize(layer.digest) == nil)
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
        var sink = VerifyingSink(MemorySink(), expecting: layer.artifact, what: "layer")
        try client.readBlob(layer, into: &sink)
        try sink.finish()
        #expect(sink.next.bytes == bytes)
        #expect(try client.blobBytes(manifest.config, limit: 1 << 20) == config.bytes)
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

    @Test func streamsABlobWhoseDigestIsKnownAtTheEnd() throws {
        let registry = try ThrowawayRegistry()
        let client = try Self.client(registry)
        let (layer, bytes) = Self.blob(5_000_001)
        let upload = try client.beginStreamedUpload(size: layer.size)
        for start in stride(from: 0, to: bytes.count, by: 70_000) {
            try upload.write(bytes.span.extracting(start..<min(bytes.count, start + 70_000)))
        }
        try upload.finish(layer.digest)
        #expect(try client.blobSize(layer.digest) == layer.size)
        #expect(registry.openUploads == [])
    }
}

extension Document<ImageConfig> {
    static func testing(_ layer: Descriptor) -> Document<ImageConfig> {
        ImageConfig(platform: Platform(os: "linux", architecture: "amd64"), diffIDs: [layer.digest]).encoded()
    }
}
