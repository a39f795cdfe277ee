import Formats
import KapsuleCore
import TestSupport
import Testing

@Suite struct GzipTests {
    private func gzip(_ bytes: [UInt8], seed: UInt64 = 1) throws -> [UInt8] {
        var sink = GzipSink(MemorySink())
        try feed(bytes, to: &sink, seed: seed)
        try sink.finish()
        return sink.next.bytes
    }

    private func gunzip(_ bytes: [UInt8], seed: UInt64 = 1, limit: Int64 = .max) throws -> [UInt8] {
        var sink = GunzipSink(MemorySink(), limit: limit, what: "the stream")
        try feed(bytes, to: &sink, seed: seed)
        try sink.finish()
        return sink.next.bytes
    }

    private func feed(_ bytes: [UInt8], to sink: inout some ByteSink & ~Copyable, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var done = 0
        while done < bytes.count {
            let count = min(bytes.count - done, Int.random(in: 1...(seed == 0 ? 1 : 100_000), using: &random))
            try sink.write(bytes.span.extracting(done..<done + count))
            done += count
        }
    }

    private func sample(_ count: Int, seed: UInt64 = 7) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { index in
            index % 3 == 0 ? UInt8.random(in: 0...255, using: &random) : UInt8(truncatingIfNeeded: index / 50)
        }
    }

    @Test(arguments: [0, 1, 511, 131_071, 131_072, 131_073, 700_000])
    func roundTrips(_ count: Int) throws {
        let content = sample(count)
        let packed = try gzip(content)
        #expect(try gzip(content, seed: 2) == packed)
        #expect(packed.prefix(10) == [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF])
        #expect(try gunzip(packed) == content)
        if count < 1000 { #expect(try gunzip(packed, seed: 0) == content) }
    }

    @Test func expandsFarBeyondTheBuffers() throws {
        let zeros = [UInt8](repeating: 0, count: 5_000_000)
        let packed = try gzip(zeros)
        #expect(packed.count < 10_000)
        #expect(try gunzip(packed) == zeros)
    }

    @Test func gzipReadsOursAndWeReadGzips() throws {
        guard let tool = try Tool.find("gzip") else { return }
        let content = sample(300_000)
        #expect(try tool.run(["-dc"], input: gzip(content)) == content)
        #expect(try gunzip(tool.run(["-9c"], input: content)) == content)
        let two = try tool.run(["-c"], input: content) + tool.run(["-1c"], input: [1, 2, 3])
        #expect(try gunzip(two) == content + [1, 2, 3])
    }

    @Test func refusesEveryCutAndEveryFlip() throws {
        let content = sample(300)
        let packed = try gzip(content)
        for cut in 0..<packed.count {
            #expect(throws: KapsuleError.self, "cut at \(cut)") { try gunzip(Array(packed[..<cut])) }
        }
        for index in packed.indices {
            var bytes = packed
            bytes[index] ^= 0x10
            do {
                // Time, extra flags, system and the unused bits of the last byte say nothing of the content.
                #expect(try gunzip(bytes) == content, "byte \(index)")
            } catch {
                #expect(isUnverified(error))
            }
        }
        #expect(throws: KapsuleError.self) { try gunzip(packed + Array("garbage".utf8)) }
        #expect(throws: KapsuleError.self) { try gunzip(Array("plain text".utf8)) }
    }

    @Test func stopsAtItsLimit() throws {
        let packed = try gzip([UInt8](repeating: 0, count: 1_000_000))
        #expect(try gunzip(packed, limit: 1_000_000).count == 1_000_000)
        #expect { try gunzip(packed, limit: 999_999) } throws: { ($0 as? KapsuleError)?.id == "gzip.too-long" }
    }

    @Test(arguments: 0..<6)
    func survivesRandomDamage(_ seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed) + 100)
        let content = sample(5000)
        let packed = try gzip(content)
        for _ in 0..<100 {
            var bytes = packed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            do {
                let result = try gunzip(bytes, limit: 1 << 20)
                #expect(result == content)
            } catch {
                #expect(isUnverified(error))
            }
        }
    }
}
