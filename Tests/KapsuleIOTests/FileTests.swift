import Foundation
import KapsuleCore
import KapsuleIO
import Synchronization
import TestSupport
import Testing

@Suite struct FileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func atomicFileIsInvisibleUntilCommitted() throws {
        let path = directory.path + "/a"
        do {
            let file = try AtomicFile(in: directory.path)
            try file.file.write([1, 2, 3].span, at: 0)
            #expect(try Directories.names(in: directory.path).isEmpty)
        }
        #expect(try Directories.names(in: directory.path).isEmpty)
        let file = try AtomicFile(in: directory.path)
        try file.file.write([1, 2, 3].span, at: 0)
        try file.commit(as: path)
        #expect(try directory.read("a") == [1, 2, 3])
    }

    @Test func atomicFileReplacesOnlyWhenAsked() throws {
        let path = try directory.write("a", "old")
        let new = try AtomicFile(in: directory.path, mode: 0o600)
        try new.file.write(Array("new".utf8).span, at: 0)
        #expect(throws: KapsuleError.self) { try new.commit(as: path) }
        try new.commit(as: path, existing: .keep)
        #expect(try directory.read("a") == Array("old".utf8))
        try new.commit(as: path, existing: .replace)
        #expect(try directory.read("a") == Array("new".utf8))
        #expect(try FileStatus.of(path, followsLinks: false)?.mode == 0o600)
        #expect(try Directories.names(in: directory.path) == ["a"])
    }

    @Test func fileSourceNoticesAWriterAndATruncation() throws {
        let path = try directory.write("a", [UInt8](repeating: 7, count: 1 << 20))
        let source = try FileSource(path: path)
        var sink = CountingSink()
        try source.read(0..<source.size, into: &sink)
        #expect(sink.count == 1 << 20)
        try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 1000)
        #expect { try source.read(0..<source.size, into: &sink) } throws: {
            ($0 as? KapsuleError)?.id == "source.changed"
        }
    }

    @Test func appendCopiesAFileAndItsSlices() throws {
        let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let source = try FileSource(path: try directory.write("a", content))
        let target = try AtomicFile(in: directory.path)
        var sink = FileSink(target.file)
        try sink.append(source)
        try sink.append(ZeroSource(size: 5000))
        try sink.append(SliceSource(source, 1000..<2000))
        try target.commit(as: directory.path + "/b")
        #expect(try directory.read("b") == content + [UInt8](repeating: 0, count: 5000) + content[1000..<2000])
    }

    @Test func refusesWhatIsNotARegularFile() throws {
        #expect { try OpenFile.reading(directory.path) } throws: { ($0 as? KapsuleError)?.id == "io.not-a-file" }
        #expect { try OpenFile.reading("/dev/null") } throws: { ($0 as? KapsuleError)?.id == "io.not-a-file" }
        #expect { try OpenFile.reading(directory.path + "/none") } throws: { ($0 as? KapsuleError)?.code == .usage }
    }

    /// What a killed run left, next to the one that goes on.
    @Test func aPartialFileIsFoundAgainByOneAtATime() throws {
        var partial = try PartialFile.open("x", in: directory.path)
        try #require(partial).file.write([1, 2, 3].span, at: 0)
        #expect(try PartialFile.open("x", in: directory.path) == nil)
        partial = nil
        partial = try PartialFile.open("x", in: directory.path)
        #expect(try partial?.count() == 3)
        let file = try AtomicFile(continuing: partial, in: directory.path)
        try file.commit(as: directory.path + "/whole")
        #expect(try directory.read("whole") == [1, 2, 3])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["whole"])
        // Given up, and of others that nobody is at.
        for name in ["a-1", "a-2", "b"] { _ = try PartialFile.open(name, in: directory.path) }
        let held = try PartialFile.open("a-2", in: directory.path)
        PartialFile.clear("a-", in: directory.path)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/\(PartialFile.folderName)").sorted()
                == ["a-2", "b"])
        withExtendedLifetime(held) {}
    }

    @Test func theEndOfContentIsBeforeHolesAndZeros() throws {
        let block = 64 << 10
        let file = try OpenFile.updating(directory.path + "/sparse")
        try file.truncate(to: Int64(16 * block))
        func end(_ range: Range<Int64>) throws -> Int64 { try file.endOfContent(in: range) }
        let all = 0..<Int64(16 * block)
        #expect(try end(all) == 0)
        try file.write([UInt8](repeating: 7, count: 2 * block).span, at: 0)
        try file.write([UInt8](repeating: 7, count: block).span, at: Int64(8 * block))
        #expect(try end(all) == Int64(2 * block))
        #expect(try end(0..<100) == 100)
        #expect(try end(Int64(8 * block)..<Int64(16 * block)) == Int64(9 * block))
        // Zeros that were written are not told from those that were not.
        try file.write([UInt8](repeating: 0, count: 3 * block).span, at: Int64(2 * block) - 5)
        #expect(try end(all) == Int64(2 * block) - 5)
    }

    @Test func lockExcludesOthers() throws {
        let path = directory.path + "/lock"
        let first = try FileLock(path, .shared)
        #expect(try FileLock.ifFree(path, .shared) != nil)
        #expect(try FileLock.ifFree(path, .exclusive) == nil)
        withExtendedLifetime(first) {}
    }

    @Test func fanOutRunsEverythingWithinItsBound() async throws {
        let running = Mutex((now: 0, most: 0, all: 0))
        try await withTaskExecutorPreference(BlockingExecutor(threads: 4)) {
            try await forEach(0..<40, limit: 3) { _ in
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1), $0.all + 1) }
                usleep(500)
                running.withLock { $0.now -= 1 }
            }
        }
        #expect(running.withLock { $0.all } == 40)
        #expect(running.withLock { $0.most } <= 3)
    }
}
