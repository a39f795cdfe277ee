import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import Store
import TestSupport
import Testing

@Suite struct DigestCacheTests {
    let directory: TemporaryDirectory
    let cache: DigestCache

    init() throws {
        directory = try TemporaryDirectory()
        cache = try DigestCache(directory: directory.path + "/cache")
    }

    private func status(_ path: String) throws -> FileStatus {
        try #require(try FileStatus.of(path, followsLinks: true))
    }

    /// As if hashing began an hour after the file was left alone.
    private func later(_ status: FileStatus) -> Int64 { max(status.modified, status.changed) + 3_600_000_000_000 }

    @Test func remembersAcrossProcesses() throws {
        let path = try directory.write("a", "content")
        let status = try status(path)
        #expect(cache.contentDigest(of: path, status) == nil)
        cache.record(Digest.of("content"), of: path, status, hashedFrom: later(status))
        #expect(cache.contentDigest(of: path, status) == Digest.of("content"))
        let again = try DigestCache(directory: directory.path + "/cache")
        #expect(again.contentDigest(of: path, status) == Digest.of("content"))
        #expect(again.contentDigest(of: path + "x", status) == nil)
    }

    @Test func doesNotTrustAFileThatIsTooYoung() throws {
        let path = try directory.write("a", "content")
        let status = try status(path)
        // A tick of the clock that the file system stamps with: fine, or FAT's.
        let tick: Int64 = status.changed % 10_000_000 == 0 ? 2_000_000_000 : 20_000_000
        for age in [-1, 0, 1, tick - 1, tick] {
            cache.record(Digest.of("x"), of: path, status, hashedFrom: max(status.modified, status.changed) + age)
            #expect(cache.contentDigest(of: path, status) == nil, "age \(age)")
        }
        cache.record(
            Digest.of("x"), of: path, status, hashedFrom: max(status.modified, status.changed) + tick + 1)
        #expect(cache.contentDigest(of: path, status) != nil)
    }

    @Test func forgetsAFileThatWasTouchedInAnyWay() throws {
        let path = try directory.write("a", "content")
        let old = try status(path)
        cache.record(Digest.of("content"), of: path, old, hashedFrom: later(old))
        // Same content, same length, same modification time: only the time of change tells.
        try directory.write("b", "CONTENT")
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1_000_000)], ofItemAtPath: path)
        #expect(cache.contentDigest(of: path, try status(path)) == nil)
        // Another inode.
        try FileManager.default.removeItem(atPath: path)
        try directory.write("a", "content")
        #expect(cache.contentDigest(of: path, try status(path)) == nil)
    }

    @Test func remembersLayersApartFromFiles() throws {
        let key = Digest.of("step")
        let layer = Artifact(digest: Digest.of("layer"), size: 1 << 40)
        #expect(cache.layer(for: key) == nil)
        cache.recordLayer(key, layer)
        #expect(cache.layer(for: key) == layer)
        let other = Artifact(digest: Digest.of("other"), size: 3)
        cache.recordLayer(key, other)
        #expect(cache.layer(for: key) == other)
    }

    /// Every byte of a record flipped in turn, and the file cut anywhere: no answer, or the right one.
    @Test func damagedRecordsAreNobodys() throws {
        let key = Digest.of("step")
        let layer = Artifact(digest: Digest.of("layer"), size: 77)
        cache.recordLayer(key, layer)
        let sound = try directory.read("cache/digests-1")
        let start = try #require(sound.firstIndex { $0 != 0 })
        for index in start..<start + 128 {
            var bytes = sound
            bytes[index] ^= 0x04
            try directory.write("cache/digests-1", bytes)
            #expect(try DigestCache(directory: directory.path + "/cache").layer(for: key) == nil)
        }
        for cut in [0, start, start + 1, start + 127] {
            try directory.write("cache/digests-1", Array(sound[..<cut]))
            let reopened = try DigestCache(directory: directory.path + "/cache")
            #expect(reopened.layer(for: key) == nil)
            reopened.recordLayer(key, layer)
            #expect(reopened.layer(for: key) == layer)
        }
    }

    @Test func isBoundedAndKeepsTheNewest() throws {
        let count = 40_000
        func value(_ index: Int) -> Artifact { Artifact(digest: Digest.of("v\(index)"), size: Int64(index)) }
        let keys = (0..<count).map { Digest.of("k\($0)") }
        for index in stride(from: 0, to: count, by: 10) { cache.recordLayer(keys[index], value(index)) }
        let file = try #require(try FileStatus.of(directory.path + "/cache/digests-1", followsLinks: false))
        #expect(file.size <= 4 << 20)
        #expect(cache.layer(for: keys[count - 10]) == value(count - 10))
        for index in stride(from: 0, to: count, by: 10) {
            let found = cache.layer(for: keys[index])
            #expect(found == nil || found == value(index))
        }
    }

    @Test func manyTasksShareOneTable() async throws {
        let path = directory.path + "/cache"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<6 {
                group.addTask {
                    let mine = try DigestCache(directory: path)
                    for turn in 0..<200 {
                        let key = Digest.of("k\(turn)")
                        mine.recordLayer(key, Artifact(digest: Digest.of("\(task)"), size: Int64(task)))
                        if let found = mine.layer(for: key) { #expect(found.digest == Digest.of("\(found.size)")) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func threeHundredLookupsAreNothing() throws {
        let path = try directory.write("a", "content")
        let status = try status(path)
        let names = (0..<300).map { "\(path)\($0)" }
        for name in names { cache.record(Digest.of(name), of: name, status, hashedFrom: later(status)) }
        let clock = ContinuousClock()
        let best = try (0..<5).map { _ in
            try clock.measure {
                let again = try DigestCache(directory: directory.path + "/cache")
                for name in names { #expect(again.contentDigest(of: name, status) == Digest.of(name)) }
            }
        }.min()
        // 5 ms is asked of a release build; a debug build with expectations in the loop gets a good deal more.
        #expect(try #require(best) < .milliseconds(500))
    }

    @Test func aCacheDeletedUnderUsIsOnlySlow() throws {
        let key = Digest.of("step")
        try FileManager.default.removeItem(atPath: directory.path + "/cache/digests-1")
        cache.recordLayer(key, Artifact(digest: key, size: 1))
        #expect(try DigestCache(directory: directory.path + "/cache").layer(for: key) == nil)
    }
}
