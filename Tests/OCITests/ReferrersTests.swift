import KapsuleCore
import OCI
import TestSupport
import Testing

/// What refers to an image.
@Suite struct ReferrersTests {
    @Test(arguments: [true, false]) func areListed(_ hasAPI: Bool) throws {
        let registry = try TestRegistry(TestRegistryTests.character { $0.referrers = hasAPI })
        let client = try RegistryOracleTests.session().client(
            for: Reference(parsing: "\(registry.host)/acme/m"), access: .push)
        let (blob, bytes) = RegistryOracleTests.blob(10)
        try client.uploadBlob(blob, from: MemorySource(bytes))
        let image = Manifest(config: blob, layers: [blob]).encoded()
        try client.putManifest(image.bytes, mediaType: MediaType.manifest, as: .tag("1"))
        #expect(try client.referrers(of: image.digest) == [])
        let subject = JSON.members([
            "mediaType": .string(MediaType.manifest), "digest": .string(image.digest.description),
            "size": .int(image.size),
        ])
        let signature = Array(
            JSON.members([
                "schemaVersion": .int(2), "mediaType": .string(MediaType.manifest),
                "artifactType": .string("application/vnd.example.signature"), "config": blob.json,
                "layers": .array([blob.json]), "subject": subject,
            ]).compact.utf8)
        let digest = try client.putManifest(signature, mediaType: MediaType.manifest, as: .tag("signature"))
        if !hasAPI {
            // What clients keep in its place.
            let index = ImageIndex(manifests: [
                Descriptor(
                    mediaType: MediaType.manifest, digest: digest, size: Int64(signature.count),
                    artifactType: "application/vnd.example.signature")
            ]).encoded()
            try client.putManifest(
                index.bytes, mediaType: MediaType.index, as: .tag("sha256-\(image.digest.hex)"))
        }
        let found = try client.referrers(of: image.digest)
        #expect(found.map(\.digest) == [digest])
        #expect(found.map(\.artifactType) == ["application/vnd.example.signature"])
    }
}
