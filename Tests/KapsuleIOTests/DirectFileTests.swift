import Foundation
import Glibc
import KapsuleCore
import TestSupport
import Testing

@testable import KapsuleIO

@Suite struct DirectFileTests {
    /// On a disk, and on a file system that has no device.
    static let places = [NSTemporaryDirectory(), "/dev/shm"]

    private static func content(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(count))
        let block = (0..<65_536).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return (0..<count).map { block[$0 % 65_521] ^ UInt8(truncatingIfNeeded: $0 >> 16) }
    }

    private func file(in place: String) throws -> AtomicFile { try AtomicFile(in: place) }

    private func read(_ file: OpenFile) throws -> [UInt8] {
        var sink = MemorySink()
        let source = try FileSource(file)
        try source.read(0..<source.size, into: &sink)
        return sink.bytes
    }

    @Test(arguments: places) func piecesOfAnySizeAtAnyPlaceFromAnyThreadMakeTheFile(_ place: String) async throws {
        let content = Self.content(20_000_003)
        let made = try file(in: place)
        let direct = DirectFile(made.file, size: Int64(content.count))
        var generator = SeededGenerator(seed: 7)
        var cuts = [0]
        while cuts.last! < content.count {
            let block = 4096 * Int.random(in: 1...700, using: &generator)
            cuts.append(min(content.count, cuts.last! + block))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (start, end) in zip(cuts, cuts.dropFirst()).shuffled(using: &generator) {
                group.addTask { try direct.write(content.span.extracting(start..<end), at: Int64(start)) }
            }
            try await group.waitForAll()
        }
        #expect(try read(made.file) == content)
        // Over what is there, from a place and memory that no device takes.
        try direct.write(content.span.extracting(101..<3_000_000), at: 77)
        var expected = content
        expected.replaceSubrange(77..<77 + 3_000_000 - 101, with: content[101..<3_000_000])
        #expect(try read(made.file) == expected)
    }

    @Test(arguments: places) func aStreamFromAnywhereOnMakesTheFile(_ place: String) throws {
        let content = Self.content(17_345_678)
        var generator = SeededGenerator(seed: 3)
        for start in [0, 1, 4095, 5_000_001, content.count - 3] {
            let made = try file(in: place)
            try made.file.write(content.span.extracting(first: start), at: 0)
            let sink = DirectFileSink(made.file, at: Int64(start), size: Int64(content.count))
            var done = start
            while done < content.count {
                let count = min(content.count - done, Int.random(in: 1...900_000, using: &generator))
                try sink.write(content.span.extracting(done..<done + count))
                done += count
                #expect(sink.offset == Int64(done))
            }
            try sink.finish()
            #expect(try read(made.file) == content, "from \(start)")
        }
    }

    @Test func whatComesAfterWhatWasExpectedIsWrittenToo() throws {
        let content = Self.content(9_000_000)
        let made = try file(in: NSTemporaryDirectory())
        let sink = DirectFileSink(made.file)
        sink.expect(DirectFile.smallest)
        try sink.write(content.span)
        try sink.write([1, 2, 3].span)
        try sink.finish()
        #expect(try read(made.file) == content + [1, 2, 3])
    }

    /// Where a file system can, the cache holds nothing of what was written.
    @Test func theCacheIsPassedBy() throws {
        let directory = try TemporaryDirectory()
        let probe = unsafe open(directory.path + "/probe", O_RDWR | O_CREAT | 0o40000, 0o600)
        guard probe >= 0 else { return print("SKIPPED theCacheIsPassedBy(): \(directory.path) knows no O_DIRECT") }
        close(probe)
        let made = try file(in: directory.path)
        let size = 16 << 20
        // The first stretch is always written directly, however slow the device.
        try DirectFile(made.file, size: Int64(size)).write(Self.content(size).span, at: 0)
        let pages = size / 4096
        let map = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, made.file.descriptor, 0)
        defer { unsafe munmap(map, size) }
        var isResident = [UInt8](repeating: 0, count: pages)
        #expect(unsafe mincore(map, size, &isResident) == 0)
        #expect(isResident.count { $0 & 1 == 1 } == 0)
    }

    /// A thread of its own meets the end of the disk: whoever writes hears of it.
    @Test func aFullDeviceIsAnErrorOfTheWriter() throws {
        let sink = DirectFileSink(try OpenFile.updating("/dev/full"), size: 64 << 20)
        let block = [UInt8](repeating: 1, count: 1 << 20)
        #expect {
            for _ in 0..<64 { try sink.write(block.span) }
            try sink.finish()
        } throws: {
            ($0 as? KapsuleError)?.code == .noSpace
        }
    }
}

@Suite struct FasterWayTests {
    /// Writes `total` bytes with so many bytes a second each way; gives the seconds that took and those of the direct way.
    private func run(_ choice: inout FasterWay, direct: Double, cached: Double, gigabytes: Int) -> (Double, Double) {
        let stretch: Int64 = 32 << 20
        var (all, directly) = (0.0, 0.0)
        for _ in 0..<gigabytes * 32 {
            let way = choice.way
            let seconds = Double(stretch) / (way == .direct ? direct : cached)
            all += seconds
            if way == .direct { directly += seconds }
            choice.went(stretch, in: .seconds(1) * seconds)
        }
        return (all, directly)
    }

    @Test func aFastDeviceIsNeverAskedTwice() {
        var choice = FasterWay()
        let (all, directly) = run(&choice, direct: 1.6e9, cached: 4e9, gigabytes: 8)
        #expect(all == directly)
    }

    @Test(arguments: [0.02e9, 0.125e9, 0.5e9]) func onASlowDeviceLittleTimeIsLost(_ rate: Double) {
        var choice = FasterWay()
        _ = run(&choice, direct: rate, cached: 2e9, gigabytes: 1)
        let (all, directly) = run(&choice, direct: rate, cached: 2e9, gigabytes: 64)
        #expect(directly < all * 0.12)
        #expect(directly > 0, "it is measured again")
    }

    @Test func aSlowCacheIsLeft() {
        var choice = FasterWay()
        let (all, directly) = run(&choice, direct: 0.6e9, cached: 0.3e9, gigabytes: 8)
        #expect(directly > all * 0.85)
    }

    @Test func aDeviceThatWasBusyIsTakenUpAgain() {
        var choice = FasterWay()
        _ = run(&choice, direct: 0.05e9, cached: 0.4e9, gigabytes: 2)
        let (all, directly) = run(&choice, direct: 1.6e9, cached: 0.4e9, gigabytes: 16)
        // What is left to wait for is ten times what the slow stretch took: 6.7 s at most.
        #expect(all - directly < 7)
        #expect(choice.way == .direct)
    }

    @Test func whereThereIsNoDirectWayNoneIsTried() {
        var choice = FasterWay()
        choice.stayWithCache()
        let (_, directly) = run(&choice, direct: 1.6e9, cached: 0.1e9, gigabytes: 4)
        #expect(directly == 0)
    }
}
