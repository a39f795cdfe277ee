import Foundation
import KapsuleCore
import OCI
import TestSupport
import Testing

/// The registry that other tests push to is one: skopeo, which knows nothing of it, gets out what it put in.
@Suite(.enabled(if: TestProgram.skopeo.isUsable, "skopeo is not installed: apt-get install skopeo"))
struct TestRegistryTests {
    static let kinds: [(String, TestRegistry.Character)] = [
        ("open", TestRegistry.Character()),
        ("like distribution 2.8", character { ($0.interruption, $0.referrers) = (.breaks, false) }),
        ("basic", character { $0.access = .basic(user: "u", password: "p") }),
        ("token", character { $0.access = .token(requests: 1000) }),
    ]

    static func character(_ change: (inout TestRegistry.Character) -> Void) -> TestRegistry.Character {
        var character = TestRegistry.Character()
        change(&character)
        return character
    }

    @Test(arguments: kinds) func skopeoPushesAndPulls(_ name: String, _ character: TestRegistry.Character) throws {
        let directory = try TemporaryDirectory()
        let layout = try ImageLayout.create("\(directory.path)/in")
        let (layer, bytes) = RegistryOracleTests.blob(300_000)
        _ = try layout.put(bytes)
        let config = Document<ImageConfig>.testing(layer)
        let configBlob = try layout.put(config)
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.config, digest: configBlob.digest, size: configBlob.size),
            layers: [layer]
        ).encoded()
        _ = try layout.put(manifest)
        try layout.setTag(
            "1", Descriptor(mediaType: MediaType.manifest, digest: manifest.digest, size: manifest.size))
        let registry = try TestRegistry(character)
        let image = "docker://\(registry.host)/acme/m:1"
        // Without compression, which would make another image of it.
        try TestProgram.skopeo.check([
            "--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", "u:p",
            "oci:\(directory.path)/in:1", image,
        ])
        #expect(registry.manifest("acme/m", "1") == manifest.digest.description)
        #expect(registry.blobs[layer.digest.description] == bytes)
        #expect(registry.openUploads == 0)
        try TestProgram.skopeo.check([
            "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--src-creds", "u:p", image,
            "oci:\(directory.path)/out:1",
        ])
        let out = try ImageLayout.open("\(directory.path)/out")
        #expect(try out.descriptor(named: "1")?.digest == manifest.digest)
        #expect(try out.contains(layer.artifact))
        let listed = try TestProgram.skopeo.check([
            "list-tags", "--tls-verify=false", "--creds", "u:p", "docker://\(registry.host)/acme/m",
        ])
        #expect(listed.contains("\"1\""))
    }
}
