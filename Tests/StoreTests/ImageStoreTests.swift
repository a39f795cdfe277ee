import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import OCI
import Store
import TestSupport
import Testing

/// A small image over `layers`.
func putImage(in layout: ImageLayout, layers: [[UInt8]]) throws -> Descriptor {
    let blobs = try layers.map { try layout.put($0) }
    let platform = Platform(os: "linux", architecture: "amd64")
    let config = ImageConfig(platform: platform, diffIDs: blobs.map(\.digest)).encoded()
    _ = try layout.put(config)
    let manifest = Manifest(
        config: Descriptor(mediaType: MediaType.config, digest: config.digest, size: config.size),
        layers: blobs.map { Descriptor(mediaType: MediaType.tar, digest: $0.digest, size: $0.size) }
    ).encoded()
    _ = try layout.put(manifest)
    return Descriptor(mediaType: MediaType.manifest, digest: manifest.digest, size: manifest.size)
}

@Suite struct StorePathsTests {
    @Test(
        arguments: [
            (["HOME": "/h"], "/h/.local/share/kapsule", "/h/.cache/kapsule"),
            (["HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c"], "/d/kapsule", "/c/kapsule"),
            (
                ["HOME": "/h", "XDG_DATA_HOME": "relative", "XDG_CACHE_HOME": ""], "/h/.local/share/kapsule",
                "/h/.cache/kapsule"
            ),
            (["HOME": "/h", "KAPSULE_HOME": "/k", "XDG_CACHE_HOME": "/c"], "/k", "/c/kapsule"),
            (["HOME": "/h", "KAPSULE_HOME": ""], "/h/.local/share/kapsule", "/h/.cache/kapsule"),
            (["KAPSULE_HOME": "/k", "XDG_CACHE_HOME": "/c"], "/k", "/c/kapsule"),
        ] as [([String: String], String, String)])
    func folders(_ environment: [String: String], home: String, cache: String) throws {
        let paths = try StorePaths(environment: environment)
        #expect(paths.home == home)
        #expect(paths.cache == cache)
    }

    @Test func withoutAHomeSaysWhatToSet() {
        #expect { try StorePaths(environment: [:]) } throws: { ($0 as? KapsuleError)?.id == "store.no-home" }
    }
}

@Suite struct ImageStoreTests {
    let directory: TemporaryDirectory
    let store: ImageStore
    let shared = [UInt8](repeating: 1, count: 10_000)

    init() throws {
        directory = try TemporaryDirectory()
        store = try ImageStore(home: directory.path + "/home")
    }

    private func tag(_ name: String, _ descriptor: Descriptor, replace: Bool = false, now: Int64 = 5_000_000_000) throws
    {
        try store.tag(Reference(parsing: name), descriptor, replace: replace, now: now)
    }

    @Test func isForItsOwnerAndReadByOthersTools() throws {
        #expect(try FileStatus.of(store.layout.path, followsLinks: false)?.mode == 0o700)
        let image = try putImage(in: store.layout, layers: [shared])
        try tag("mistral:7b", image)
        guard let skopeo = try Tool.find("skopeo") else { return }
        let said = try skopeo.run(["inspect", "--raw", "oci:\(store.layout.path):mistral:7b"])
        #expect(Digest.of(said) == image.digest)
    }

    @Test func listsNamesSizesAndTimes() throws {
        let one = try putImage(in: store.layout, layers: [shared, [1]])
        let two = try putImage(in: store.layout, layers: [shared, [2, 2]])
        try tag("b/two:v1", two)
        try tag("one", one, now: 7_999_999_999)
        try tag("ghcr.io/acme/one:x", one)
        let images = try store.images()
        #expect(images.map(\.reference) == ["b/two:v1", "ghcr.io/acme/one:x", "one:latest"])
        #expect(images.map(\.tagged) == [5, 5, 7])
        #expect(images.map(\.digest) == [two.digest, one.digest, one.digest])
        // Two names of one image share nothing with each other: it is one image.
        #expect(images.map(\.sharedSize) == [10_000, 10_000, 10_000])
        #expect(images[0].size == images[0].uniqueSize + 10_000)
        let usage = try store.usage()
        #expect(usage.total == images[0].size + images[1].uniqueSize)
        #expect(usage.reclaimable == 0)
        #expect(try store.descriptor(for: Reference(parsing: "one"))?.digest == one.digest)
    }

    @Test func aNameMovesOnlyWhenAsked() throws {
        let one = try putImage(in: store.layout, layers: [[1]])
        let two = try putImage(in: store.layout, layers: [[2]])
        try tag("m:1", one)
        #expect { try tag("m:1", two) } throws: { ($0 as? KapsuleError)?.code == .conflict }
        try tag("m:1", two, replace: true)
        #expect(try store.images().map(\.digest) == [two.digest])
        let absent = Descriptor(mediaType: MediaType.manifest, digest: Digest.of("no"), size: 2)
        #expect { try tag("m:2", absent) } throws: { ($0 as? KapsuleError)?.code == .unverified }
    }

    @Test func removesByNameAndDigestAndSuggests() throws {
        let one = try putImage(in: store.layout, layers: [[1]])
        let two = try putImage(in: store.layout, layers: [[2]])
        for name in ["mistral:7b", "mistral:latest", "other"] { try tag(name, one) }
        try tag("qwen:3", two)
        #expect(try store.remove("mistral") == ["mistral:latest"])
        #expect { try store.remove("mistral") } throws: {
            ($0 as? KapsuleError)?.remedy == "did you mean 'mistral:7b'?"
        }
        #expect { try store.remove("quen:3") } throws: { ($0 as? KapsuleError)?.remedy == "did you mean 'qwen:3'?" }
        #expect { try store.remove("zzzzzzzzzzzzz") } throws: { ($0 as? KapsuleError)?.id == "store.no-image" }
        #expect { try store.remove(String(one.digest.hex.prefix(5))) } throws: {
            ($0 as? KapsuleError)?.id == "store.no-image"
        }
        #expect(Set(try store.remove(String(one.digest.hex.prefix(8)))) == ["mistral:7b", "other:latest"])
        #expect(try store.remove(two.digest.description) == ["qwen:3"])
        #expect(try store.images().isEmpty)
    }

    @Test func pruneRemovesWhatNoImageNeeds() throws {
        let one = try putImage(in: store.layout, layers: [shared, [1]])
        try tag("one", one)
        let two = try putImage(in: store.layout, layers: [shared, [2]])
        try tag("two", two)
        try store.remove("two")
        let orphan = try store.layout.put([9, 9])
        try directory.write("home/blobs/sha256/.kapsule-left", "x")
        try directory.write("home/.kapsule-left", "x")
        try directory.write("home/blobs/sha256/notes", "x")
        let expected = try store.usage().reclaimable
        let result = try store.prune()
        #expect(!result.isInUse)
        #expect(result.removed.reduce(0) { $0 + $1.size } == expected)
        #expect(result.removed.contains(orphan))
        #expect(result.removed.count == 4)
        #expect(result.freed > 0)
        #expect(try store.images().first?.problem == nil)
        let names = try Directories.names(in: directory.path + "/home/blobs/sha256")
        #expect(names.count == 5 && names.contains("notes"))
        #expect(try !Directories.names(in: directory.path + "/home").contains(".kapsule-left"))
        #expect(try store.prune().removed.isEmpty)
        #expect(try store.prune(sparingYoungerThan: 100).removed.isEmpty)
    }

    @Test func pruneLeavesAUsedStoreAlone() throws {
        let use = try store.use()
        let fresh = try store.layout.put([1, 2, 3])
        let result = try store.prune()
        #expect(result.isInUse && result.removed.isEmpty)
        #expect(try store.layout.contains(fresh))
        withExtendedLifetime(use) {}
    }

    @Test func pruneStopsAtADamagedManifest() throws {
        let one = try putImage(in: store.layout, layers: [[1]])
        try tag("one", one)
        let orphan = try store.layout.put([9, 9])
        try damage(one.digest)
        #expect { try store.prune() } throws: { ($0 as? KapsuleError)?.code == .unverified }
        #expect(try store.layout.contains(orphan))
        #expect(try store.images().first?.problem?.code == .unverified)
    }

    /// Same length, other content.
    private func damage(_ digest: Digest) throws {
        let path = store.layout.path(of: digest)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[bytes.count / 2] ^= 1
        try FileManager.default.removeItem(atPath: path)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test func verifyNamesEverythingThatIsWrong() async throws {
        let one = try putImage(in: store.layout, layers: [shared, [1]])
        let two = try putImage(in: store.layout, layers: [[2]])
        try tag("one", one)
        try tag("two", two)
        #expect(try await store.verify(threads: 3).isEmpty)
        try damage(Digest.of(shared))
        try FileManager.default.removeItem(atPath: store.layout.path(of: Digest.of([2] as [UInt8])))
        let left = try directory.write("home/blobs/sha256/.kapsule-left", "x")
        let findings = try await store.verify(threads: 3)
        #expect(findings.count == 3)
        guard case .damaged(let digest, _) = findings[0] else {
            Issue.record("\(findings)")
            return
        }
        #expect(digest == Digest.of(shared))
        #expect(
            findings[1] == .missing(Artifact(digest: Digest.of([2] as [UInt8]), size: 1), image: "two:latest"))
        #expect(findings[2] == .stray(path: left))
        #expect(findings.map(\.isFatal) == [true, true, false])
        #expect(findings[0].error?.code == .unverified)
    }

    /// Builders put blobs, find blobs of others, and tag at the end, while another task prunes as fast as it can.
    @Test func aBuildNeverLosesABlobToPrune() async throws {
        let home = store.layout.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for builder in 0..<4 {
                group.addTask {
                    for turn in 0..<12 {
                        let mine = try ImageStore(home: home)
                        let use = try mine.use()
                        let content = Array("blob \(turn)".utf8)
                        let artifact = Artifact(digest: Digest.of(content), size: Int64(content.count))
                        if try !mine.layout.contains(artifact) { _ = try mine.layout.put(content) }
                        let image = try putImage(in: mine.layout, layers: [content, Array("\(builder)".utf8)])
                        try mine.tag(Reference(parsing: "b\(builder):t\(turn)"), image, replace: true)
                        withExtendedLifetime(use) {}
                        if turn % 3 == 0 { try mine.remove("b\(builder):t\(turn)") }
                    }
                }
            }
            group.addTask {
                for _ in 0..<60 { _ = try ImageStore(home: home).prune() }
            }
            try await group.waitForAll()
        }
        #expect(try store.images().count == 4 * 8)
        #expect(try store.images().allSatisfy { $0.problem == nil })
        _ = try store.prune()
        #expect(try await store.verify(threads: 2).isEmpty)
    }
}
