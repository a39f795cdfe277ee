import Builder
import Exporters
import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import Synchronization
import TestSupport
import Testing

/// Plain directories from a build, and what a further run makes of one that was cut short.
@Suite struct DirectoryExporterTests {
    let directory: TemporaryDirectory
    var target: String { directory.path + "/out" }

    init() throws { directory = try TemporaryDirectory() }

    /// A server's file: promises a digest, counts what is taken, and breaks off or lies when told.
    final class RemoteFile: ByteSource {
        let bytes: [UInt8]
        let digest: Digest?
        private let state = Mutex((read: Int64(0), cutsAt: Int64.max, flips: Int64(-1)))

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            digest = Digest.of(bytes)
        }

        var size: Int64 { Int64(bytes.count) }
        var backing: ByteBacking { .stream }
        /// Bytes that were taken from it.
        var read: Int64 { state.withLock { $0.read } }

        func cut(at offset: Int64) { state.withLock { $0.cutsAt = offset } }
        func flip(at offset: Int64) { state.withLock { $0.flips = offset } }

        func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
            let (cut, flips) = state.withLock { ($0.cutsAt, $0.flips) }
            var offset = range.lowerBound
            while offset < range.upperBound {
                guard offset < cut else { throw KapsuleError(.unavailable, id: "test.cut", "the wire was cut") }
                let end = min(offset + 10_000, range.upperBound, cut)
                var block = Array(bytes[Int(offset)..<Int(end)])
                if flips >= offset, flips < end { block[Int(flips - offset)] ^= 1 }
                try sink.write(block.span)
                state.withLock { $0.read += Int64(block.count) }
                offset = end
            }
        }
    }

    /// A model of a server: two small files in one lane, two large ones, of which each has its own.
    struct Remote {
        var files: [(path: String, source: RemoteFile)]

        init(seed: UInt64 = 1) {
            var random = SeededGenerator(seed: seed)
            files = [
                ("config.json", 1000), ("run.sh", 10), ("sub/model-1.bin", 300_000), ("sub/model-2.bin", 250_001),
            ].map { ($0, RemoteFile(random.bytes($1))) }
        }

        var read: Int64 { files.reduce(0) { $0 + $1.source.read } }
        var size: Int64 { files.reduce(0) { $0 + $1.source.size } }

        func bundle() throws -> ModelBundle {
            ModelBundle(
                identity: "m", card: ModelCard(), modelfile: Array("FROM .\n".utf8), origin: Origin(),
                files: try files.map {
                    ModelBundle.File(
                        path: try BundlePath(validating: $0.path), role: .other, isExecutable: $0.path == "run.sh",
                        source: $0.source)
                },
                lanes: [.init(files: [0, 1])] + (2..<files.count).map { .init(files: [$0]) })
        }
    }

    @discardableResult
    private func build(
        _ remote: Remote, force: Bool = false, concurrency: Int = 2
    ) async throws -> ExportReceipt {
        let bundle = try remote.bundle()
        let session = try DirectoryExporter(to: target, replaces: force, progress: SilentProgress()).begin(bundle)
        let plan = Planner.plan(bundle, from: [], to: [session])
        let report = try await Executor(concurrency: concurrency, progress: SilentProgress()).run(
            plan, for: bundle, to: [session])
        switch report.outcomes[0] {
        case .made(let receipt): return receipt
        case .failed(let error): throw error
        }
    }

    private func names() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: target).sorted()
    }

    private func checkWhole(_ remote: Remote) throws {
        #expect(
            try names() == ["Modelfile", "config.json", "run.sh", "sub", "sub/model-1.bin", "sub/model-2.bin"])
        for file in remote.files { #expect(try directory.read("out/\(file.path)") == file.source.bytes) }
        #expect(try FileStatus.of("\(target)/run.sh", followsLinks: false)?.mode == 0o755)
        #expect(try FileStatus.of("\(target)/sub/model-1.bin", followsLinks: false)?.mode == 0o644)
        #expect(try directory.read("out/Modelfile") == Array("FROM .\n".utf8))
    }

    @Test func filesAreAsTheSourceHasThemAndNamedByWhatSha256sumPrints() async throws {
        let remote = Remote()
        let receipt = try await build(remote)
        try checkWhole(remote)
        let list = try Tool.find("sh")?.run(
            ["-c", "find . -type f | sed s,^./,, | LC_ALL=C sort | xargs sha256sum"], in: target)
        #expect(receipt.identity == Digest.of(try #require(list)))
        #expect(receipt.reference == "\(target)@\(receipt.identity)")
    }

    @Test(arguments: [0, 1, 9_999, 10_000, 299_999] as [Int64])
    func whatCameBeforeTheCutIsNotReadAgain(_ offset: Int64) async throws {
        let remote = Remote()
        remote.files[2].source.cut(at: offset)
        await #expect { try await build(remote, concurrency: 1) } throws: { ($0 as? KapsuleError)?.id == "test.cut" }
        // Nothing has a name yet, and nobody else may look at what is there.
        #expect(try names().filter { !$0.hasPrefix(".kapsule-partial") } == [])
        #expect(try FileStatus.of("\(target)/.kapsule-partial", followsLinks: false)?.mode == 0o700)
        let left = try names().filter { $0.hasPrefix(".kapsule-partial/") && !$0.hasSuffix("lock") }
        for name in left { #expect(try FileStatus.of("\(target)/\(name)", followsLinks: false)?.mode == 0o600) }

        let again = Remote()
        try await build(again)
        try checkWhole(again)
        #expect(remote.read + again.read == again.size)
    }

    @Test func aFlippedByteInWhatWasLeftIsFoundAndTheFileFetchedAnew() async throws {
        let remote = Remote()
        remote.files[2].source.cut(at: 200_000)
        _ = try? await build(remote, concurrency: 1)
        let name = "out/.kapsule-partial/\(Digest.of(remote.files[2].source.bytes).hex)"
        var bytes = try directory.read(name)
        #expect(bytes.count == 200_000)
        bytes[150_000] ^= 1
        try directory.write(name, bytes)
        let again = Remote()
        try await build(again)
        try checkWhole(again)
        #expect(again.files[2].source.read == 100_000 + 300_000)
    }

    @Test func moreThanTheFileIsThrownAway() async throws {
        let remote = Remote()
        let name = "out/.kapsule-partial/\(Digest.of(remote.files[2].source.bytes).hex)"
        try directory.write(name, [UInt8](repeating: 1, count: 400_000))
        try await build(remote)
        try checkWhole(remote)
    }

    @Test func finishedFilesAreReadAndNotFetched() async throws {
        let first = try await build(Remote())
        let again = Remote()
        let second = try await build(again)
        #expect(second.identity == first.identity)
        #expect(again.read == 0)
        // One of the small ones is gone: only that one is fetched.
        try FileManager.default.removeItem(atPath: "\(target)/config.json")
        let third = Remote()
        try await build(third)
        try checkWhole(third)
        #expect(third.read == 1000)
    }

    @Test func aFileOfTheSameSizeAndOtherContentIsAConflictFoundBeforeAnyFetching() async throws {
        let remote = Remote()
        var bytes = remote.files[2].source.bytes
        bytes[7] ^= 1
        try directory.write("out/sub/model-1.bin", bytes)
        await #expect { try await build(remote, concurrency: 1) } throws: { ($0 as? KapsuleError)?.code == .conflict }
        #expect(remote.files[2].source.read == 0)
        #expect(try directory.read("out/sub/model-1.bin") == bytes)
        try await build(remote, force: true)
        try checkWhole(remote)
    }

    @Test func conflictsOfSizeAndKindAreFoundBeforeAByteIsRead() async throws {
        for (path, isDirectory) in [("config.json", false), ("Modelfile", false), ("sub/model-2.bin/x", true)] {
            try directory.write("out/\(path)", "something else")
            let remote = Remote()
            await #expect { try await build(remote) } throws: { ($0 as? KapsuleError)?.code == .conflict }
            #expect(remote.read == 0)
            if isDirectory {
                // A directory is never replaced.
                await #expect { try await build(remote, force: true) } throws: {
                    ($0 as? KapsuleError)?.code == .conflict
                }
            }
            try FileManager.default.removeItem(atPath: target)
        }
    }

    @Test func anotherModelTakesUpNothingAndTidiesUp() async throws {
        let remote = Remote()
        remote.files[2].source.cut(at: 200_000)
        _ = try? await build(remote, concurrency: 1)
        // The same paths and sizes.
        let other = Remote(seed: 2)
        try await build(other)
        try checkWhole(other)
        #expect(other.read == other.size)
    }

    @Test func bytesThatAreWrongTwiceAreNeverPublishedNorTakenUpAgain() async throws {
        let remote = Remote()
        remote.files[3].source.flip(at: 250_000)
        await #expect { try await build(remote) } throws: { ($0 as? KapsuleError)?.id == "content.mismatch" }
        #expect(remote.files[3].source.read == 2 * 250_001)
        #expect(try names().filter { !$0.hasPrefix(".kapsule-partial") } == [])
        #expect(try !names().contains(".kapsule-partial/\(Digest.of(remote.files[3].source.bytes).hex)"))
        let again = Remote()
        try await build(again)
        try checkWhole(again)
    }

    @Test func twoFilesOfOneContentAreTwoFiles() async throws {
        var remote = Remote()
        remote.files[3].source = RemoteFile(remote.files[2].source.bytes)
        for file in remote.files[2...] { file.source.cut(at: 100_000) }
        _ = try? await build(remote)
        _ = try? await build(remote, concurrency: 1)
        var again = Remote()
        again.files[3].source = RemoteFile(again.files[2].source.bytes)
        try await build(again)
        try checkWhole(again)
    }

    @Test func whoeverComesSecondIsToldSo() async throws {
        try directory.write("out/.kapsule-partial/lock", "")
        let lock = try FileLock("\(target)/.kapsule-partial/lock", .exclusive)
        await #expect { try await build(Remote()) } throws: { ($0 as? KapsuleError)?.id == "directory.busy" }
        withExtendedLifetime(lock) {}
    }

    @Test func linksPlantedInTheDirectoryAreNotFollowed() async throws {
        try directory.write("elsewhere/keep", "keep")
        for link in ["sub", ".kapsule-partial"] {
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: "\(target)/\(link)", withDestinationPath: "\(directory.path)/elsewhere")
            await #expect { try await build(Remote(), force: true) } throws: {
                ($0 as? KapsuleError)?.code == .conflict
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/elsewhere") == ["keep"])
            try FileManager.default.removeItem(atPath: target)
        }
    }

    @Test func namesThatKapsuleKeepsAreRefused() throws {
        for path in ["Modelfile", ".kapsule-partial/x"] {
            var remote = Remote()
            remote.files = [(path, remote.files[0].source), ("x", remote.files[1].source)]
            let bundle = try remote.bundle()
            #expect {
                try DirectoryExporter(to: target, replaces: true, progress: SilentProgress()).begin(bundle)
            } throws: { ($0 as? KapsuleError)?.id == "directory.reserved" }
        }
    }
}
