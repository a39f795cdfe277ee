import KapsuleCore
import OCI
import Testing

@Suite struct DocumentTests {
    static let digest = Digest(parsing: "sha256:" + String(repeating: "ab", count: 32))!

    @Test func manifestComesBackFromItsBytes() throws {
        var manifest = Manifest(
            config: Descriptor(mediaType: MediaType.config, digest: Self.digest, size: 2),
            layers: [
                Descriptor(
                    mediaType: MediaType.tar, digest: Self.digest, size: 10240, annotations: ["b": "2", "a": "1"])
            ])
        manifest.annotations = ["k": "v"]
        let document = manifest.encoded()
        #expect(try Manifest.decode(document.bytes, what: "m").content == manifest)
        #expect(
            String(decoding: document.bytes, as: UTF8.self) == """
                {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":\
                "application/vnd.oci.image.config.v1+json","digest":"\(Self.digest)","size":2},"layers":[{"mediaType":\
                "application/vnd.oci.image.layer.v1.tar","digest":"\(Self.digest)","size":10240,"annotations":{"a":"1",\
                "b":"2"}}],"annotations":{"k":"v"}}
                """)
    }

    @Test func configComesBackFromItsBytes() throws {
        var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"), diffIDs: [Self.digest])
        config.labels = ["x": "y"]
        config.history = [.init(created: "1970-01-01T00:00:00Z", createdBy: "kapsule")]
        #expect(try ImageConfig.decode(config.encoded().bytes, what: "c").content == config)
    }

    @Test(arguments: [
        "", "{", "[]", "{}", #"{"schemaVersion":1,"config":{},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"digest":"sha256:00","size":1},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"digest":"sha256:\#(String(repeating: "ab", count: 32))","size":-1},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"digest":"sha256:\#(String(repeating: "ab", count: 32))","size":1},"layers":{}}"#,
    ])
    func refusesWhatIsNoManifest(_ text: String) {
        #expect { try Manifest.decode(Array(text.utf8), what: "the manifest of m:1") } throws: {
            ($0 as? KapsuleError)?.code == .unverified
        }
    }
}
