import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import OCI
import TestSupport
import Testing

@Suite struct LayoutTagTests {
    let directory: TemporaryDirectory
    let layout: ImageLayout

    init() throws {
        directory = try TemporaryDirectory()
        layout = try ImageLayout.create(directory.path + "/layout")
    }

    @Test func aTagMovesOnlyWhenAsked() throws {
        let (one, document) = try putImage(in: layout, "one")
        let (two, _) = try putImage(in: layout, "two")
        #expect(try layout.setTag("v1", one))
        #expect(try !layout.setTag("v1", one))
        #expect { try layout.setTag("v1", two) } throws: {
            ($0 as? KapsuleError)?.id == "layout.tag-exists" && ($0 as? KapsuleError)?.code == .conflict
        }
        #expect(try layout.manifest(for: "v1") == document)
        #expect(try layout.setTag("v1", two, replace: true))
        #expect(try layout.descriptor(named: "v1")?.digest == two.digest)
        #expect(try layout.entries().count == 1)
        #expect(try layout.removeEntries { $0.tag == "v1" }.map(\.descriptor.digest) == [two.digest])
        #expect(try layout.removeEntries { $0.tag == "v1" } == [])
    }

    @Test func equalTagsGiveEqualBytes() throws {
        let (one, _) = try putImage(in: layout, "one")
        try layout.setTag("v1", fullName: "ghcr.io/acme/m:v1", one)
        let text = String(decoding: try directory.read("layout/index.json"), as: UTF8.self)
        #expect(
            text == #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#
                + #"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"\#(one.digest)","#
                + #""size":\#(one.size),"annotations":{"io.containerd.image.name":"ghcr.io/acme/m:v1","#
                + #""org.opencontainers.image.ref.name":"v1"}}]}"#)
    }

    @Test func keepsWhatItDoesNotKnow() throws {
        let (one, _) = try putImage(in: layout, "one")
        let strange =
            #"{ "mediaType": "x/y", "digest": "sha512:\#(String(repeating: "a", count: 128))", "size": 3,"#
            + #" "urls": ["a,b]}", "\"\\"], "deep": {"n": 1.5e3}}"#
        let index =
            #"{ "schemaVersion" : 2, "annotations": {"k": "v"}, "manifests" : [ \#(strange) ], "#
            + #""x.extra": [true, null, 1.50] }"#
        try directory.write("layout/index.json", index)
        #expect(try layout.entries().isEmpty)
        try layout.setTag("v1", one)
        try layout.removeEntries { $0.tag == "v1" }
        let text = String(decoding: try directory.read("layout/index.json"), as: UTF8.self)
        #expect(
            text == #"{"schemaVersion":2,"annotations":{"k": "v"},"manifests":[\#(strange)],"#
                + #""x.extra":[true, null, 1.50]}"#)
    }

    @Test(arguments: [
        "", "{", "[]", "{}", #"{"manifests":{}}"#, #"{"manifests":[1]}"#, #"{"manifests":[}"#, #"{"manifests":[]"#,
        #"{"manifests":[]} x"#, #"{"manifests":["a]}"#, #"{"manifests":[{"digest":"d"}]}"#, #"{"manifests":[,]}"#,
    ])
    func refusesWhatIsNoIndex(_ text: String) throws {
        try directory.write("layout/index.json", text)
        #expect { try layout.entries() } throws: { ($0 as? KapsuleError)?.code == .unverified }
    }

    @Test func namesAreFoundAsTagFullNameAndDigest() throws {
        let (one, _) = try putImage(in: layout, "one")
        let (two, _) = try putImage(in: layout, "two")
        try layout.setTag("v1", fullName: "ghcr.io/acme/m:v1", one)
        try layout.setTag("v2", two)
        #expect(try layout.descriptor(named: "ghcr.io/acme/m:v1")?.digest == one.digest)
        #expect(try layout.descriptor(named: two.digest.description)?.digest == two.digest)
        #expect(try layout.descriptor(for: Reference(parsing: "ghcr.io/acme/m:v1"))?.digest == one.digest)
        #expect(try layout.descriptor(for: Reference(parsing: "ghcr.io/other/m:v1")) == nil)
        #expect(try layout.descriptor(for: Reference(parsing: "any/name:v2"))?.digest == two.digest)
        #expect { try layout.manifest(for: "v3") } throws: {
            ($0 as? KapsuleError)?.remedy?.hasPrefix("did you mean 'v") == true
        }
        #expect { try layout.manifest(for: nil) } throws: { ($0 as? KapsuleError)?.id == "layout.which-image" }
    }

    @Test func choosesTheManifestOfAPlatform() throws {
        var manifests: [Descriptor] = []
        for (name, platform) in [("a", "linux/amd64"), ("b", "linux/arm64"), ("c", "unknown/unknown")] {
            var (descriptor, _) = try putImage(in: layout, name)
            descriptor.platform = Platform(parsing: platform)
            manifests.append(descriptor)
        }
        let index = ImageIndex(manifests: manifests).encoded()
        _ = try layout.put(index)
        try layout.setTag("v1", Descriptor(mediaType: MediaType.index, digest: index.digest, size: index.size))
        let arm = Platform(os: "linux", architecture: "arm64")
        #expect(try layout.manifest(for: "v1", platform: arm).digest == manifests[1].digest)
        #expect(try layout.manifest(for: manifests[0].digest.description).digest == manifests[0].digest)
        #expect { try layout.manifest(for: "v1") } throws: {
            ($0 as? KapsuleError)?.remedy == "choose one of: linux/amd64, linux/arm64"
        }
        #expect(throws: KapsuleError.self) {
            try layout.manifest(for: "v1", platform: Platform(os: "linux", architecture: "s390x"))
        }
    }

    @Test func manyTasksTagAndNoneIsLost() async throws {
        let (one, _) = try putImage(in: layout, "one")
        let path = layout.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    let mine = try ImageLayout.create(path)
                    for turn in 0..<10 {
                        try mine.setTag("t\(task)-\(turn)", one)
                        _ = try mine.put(Array("shared \(turn)".utf8))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(Set(try layout.entries().compactMap(\.tag)).count == 80)
        #expect(try Directories.names(in: layout.path).filter { $0.hasPrefix(".kapsule-") }.isEmpty)
    }

    /// The lock is between processes: one that another process holds keeps us waiting, and loses nothing.
    @Test func waitsForAnotherProcess() throws {
        guard let flock = try Tool.find("flock") else { return }
        let (one, _) = try putImage(in: layout, "one")
        try layout.setTag("mine", one)
        let add = #"""
            i=$(cat index.json); touch ../locked; sleep 0.3; printf '%s' "${i%]\}},$(printf '%s' "$i" \#
            | sed 's/.*"manifests":\[//; s/]}$//; s/"mine"/"theirs"/')]}" > index.json
            """#
        let path = layout.path
        let other = Thread { _ = try? flock.run([".kapsule.lock", "sh", "-c", add], in: path) }
        other.start()
        while !FileManager.default.fileExists(atPath: directory.path + "/locked") { usleep(1000) }
        try layout.setTag("later", one)
        #expect(try layout.entries().compactMap(\.tag) == ["mine", "theirs", "later"])
    }

    @Test func skopeoReadsWhatWeTag() throws {
        guard let skopeo = try Tool.find("skopeo") else { return }
        let image = try realImage(in: layout)
        try layout.setTag("v1", image)
        try layout.setTag("mistral:7b", image)
        for tag in ["v1", "mistral:7b"] {
            let said = try skopeo.run(["inspect", "--raw", "oci:\(layout.path):\(tag)"])
            #expect(Digest.of(said) == image.digest)
        }
        let copy = directory.path + "/copy"
        try skopeo.run([
            "--insecure-policy", "copy", "-q", "--preserve-digests", "oci:\(layout.path):v1", "dir:\(copy)",
        ])
        #expect(Digest.of(try directory.read("copy/manifest.json")) == image.digest)
    }

    @Test func readsAndExtendsWhatSkopeoAndUmociWrite() throws {
        guard let skopeo = try Tool.find("skopeo") else { return }
        let image = try realImage(in: layout)
        try layout.setTag("v1", image)
        let theirs = directory.path + "/theirs"
        try skopeo.run([
            "--insecure-policy", "copy", "-q", "--preserve-digests", "oci:\(layout.path):v1", "oci:\(theirs):x",
        ])
        let other = try ImageLayout.create(theirs)
        #expect(try other.manifest(for: "x").digest == image.digest)
        try other.setTag("y", image)
        try skopeo.run([
            "--insecure-policy", "copy", "-q", "--preserve-digests", "oci:\(layout.path):v1", "oci:\(theirs):z",
        ])
        #expect(Set(try other.entries().compactMap(\.tag)) == ["x", "y", "z"])

        guard let umoci = try Tool.find("umoci") else { return }
        try umoci.run(["tag", "--image", "\(theirs):y", "w"])
        #expect(try other.manifest(for: "w").digest == image.digest)
        let listed = String(decoding: try umoci.run(["list", "--layout", theirs]), as: UTF8.self)
        #expect(Set(listed.split(separator: "\n").map(String.init)) == ["w", "x", "y", "z"])
    }
}

/// An image whose layer is a tar archive: two blocks of zeros hold nothing and are one.
func realImage(in layout: ImageLayout) throws -> Descriptor {
    let layer = try layout.put([UInt8](repeating: 0, count: 1024))
    let config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"), diffIDs: [layer.digest]).encoded()
    _ = try layout.put(config)
    let manifest = Manifest(
        config: Descriptor(mediaType: MediaType.config, digest: config.digest, size: config.size),
        layers: [Descriptor(mediaType: MediaType.tar, digest: layer.digest, size: layer.size)]
    ).encoded()
    _ = try layout.put(manifest)
    return Descriptor(mediaType: MediaType.manifest, digest: manifest.digest, size: manifest.size)
}
