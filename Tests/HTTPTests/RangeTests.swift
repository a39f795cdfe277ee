import KapsuleCore
import KapsuleIO
import Synchronization
import TestSupport
import Testing

@testable import HTTP

/// An object of a loopback server, as a client sees it.
struct TestOrigin: RangeOrigin {
    let server: LoopbackServer
    let transport: HTTPTransport
    let size: Int64
    let retry: RetryPolicy
    let failures = Failures()
    var name: String { "weights.bin" }

    final class Failures: Sendable {
        private let ids = Mutex<[String]>([])
        var all: [String] { ids.withLock { $0 } }
        func add(_ id: String) { ids.withLock { $0.append(id) } }
    }

    init(_ server: LoopbackServer, size: Int, attempts: Int = 5, stall: Duration = .seconds(60)) {
        self.server = server
        self.size = Int64(size)
        var settings = TransportSettings()
        settings.stallTimeout = stall
        transport = HTTPTransport(settings)
        var policy = RetryPolicy()
        policy.attempts = attempts
        policy.sleep = { _ in }
        retry = policy
    }

    func get(
        _ range: Range<Int64>, accepting: (HTTPResponse) throws -> Bool, deliver: (Span<UInt8>) throws -> Void
    ) throws -> HTTPResponse {
        let request = HTTPRequest(.get, .of(server, "/weights.bin"), headers: ["Range": ByteRange.header(range)])
        return try transport.fetch(request, accepting: accepting, deliver: deliver)
    }

    func refusal(_ response: HTTPResponse) -> KapsuleError {
        let isTransient = RetryPolicy.isTransient(status: response.status)
        return KapsuleError(.unavailable, id: isTransient ? "http.status" : "test.refused", "\(response.status)")
    }

    func attemptFailed(_ error: any Error) { failures.add((error as? KapsuleError)?.id ?? "?") }

    /// All of it, in small pieces.
    func readAll(_ options: RangeOptions = .small()) throws -> [UInt8] {
        var sink = MemorySink()
        try read(0..<size, options, into: &sink)
        return sink.bytes
    }
}

extension RangeOptions {
    /// Pieces of 64 KiB.
    static func small(connections: Int = 4, pool: BlockPool = BlockPool(capacity: 24 << 20)) -> RangeOptions {
        var options = RangeOptions(connections: connections)
        options.pieceSize = 64 << 10
        options.pool = pool
        return options
    }
}

extension LoopbackServer.Request {
    /// What `Range` asks for.
    var range: Range<Int>? {
        guard let text = self["Range"], text.hasPrefix("bytes=") else { return nil }
        let ends = text.dropFirst(6).split(separator: "-").compactMap { Int($0) }
        return ends.count == 2 ? ends[0]..<ends[1] + 1 : nil
    }
}

/// A proper server of `bytes`.
func partial(_ request: LoopbackServer.Request, of bytes: [UInt8]) -> Reply {
    guard let range = request.range else { return Reply(200, [], bytes) }
    guard range.lowerBound < bytes.count else { return Reply(416, ["Content-Range: bytes */\(bytes.count)"]) }
    let given = range.clamped(to: 0..<bytes.count)
    return Reply(
        206, ["Content-Range: bytes \(given.lowerBound)-\(given.upperBound - 1)/\(bytes.count)"], Array(bytes[given]))
}

@Suite struct RangeTests {
    static let bytes: [UInt8] = {
        var random = SeededGenerator(seed: 11)
        return random.bytes(1_000_003)
    }()
    var bytes: [UInt8] { Self.bytes }

    @Test(
        arguments: [1, 2, 4, 8],
        [0, 1, 64 << 10, (64 << 10) + 1, 500_000, 1_000_003])
    func givesTheSameBytesOverAnyNumberOfConnections(_ connections: Int, _ count: Int) throws {
        let content = Array(bytes.prefix(count))
        let server = try LoopbackServer { partial($0, of: content) }
        let pool = BlockPool(capacity: 24 << 20)
        let origin = TestOrigin(server, size: count)
        #expect(try origin.readAll(.small(connections: connections, pool: pool)) == content)
        #expect(pool.reservedBlocks == 0)
        #expect(server.requests.count == (connections == 1 ? min(1, count) : (count + (64 << 10) - 1) / (64 << 10)))
    }

    @Test(arguments: [0..<10, 65_536..<200_000, 999_000..<1_000_003, 5..<1_000_003])
    func givesAnyRange(_ range: Range<Int>) throws {
        let server = try LoopbackServer { partial($0, of: Self.bytes) }
        var sink = MemorySink()
        try TestOrigin(server, size: bytes.count)
            .read(Int64(range.lowerBound)..<Int64(range.upperBound), .small(), into: &sink)
        #expect(sink.bytes == Array(bytes[range]))
    }

    @Test(arguments: [0, 512 << 10, 1 << 20])
    func needsNoMemoryOfThePoolToGoOn(_ capacity: Int) async throws {
        let server = try LoopbackServer { partial($0, of: Self.bytes) }
        let pool = BlockPool(capacity: capacity)
        try await withTaskExecutorPreference(mayBlock) {
            try await forEach(0..<3, limit: 3) { _ in
                let origin = TestOrigin(server, size: Self.bytes.count)
                let read = try origin.readAll(.small(connections: 8, pool: pool))
                #expect(read == Self.bytes)
            }
        }
        #expect(pool.reservedBlocks == 0)
    }

    /// Counts how often a piece was asked for, and answers the first askings otherwise.
    final class Faults: Sendable {
        private let hits = Mutex<[Int: Int]>([:])
        func isFirst(_ offset: Int, of count: Int = 1) -> Bool {
            hits.withLock { hits in
                hits[offset, default: 0] += 1
                return (hits[offset] ?? 0) <= count
            }
        }
    }

    @Test func resumesEveryPieceAtTheByteWhereItWasCut() throws {
        let faults = Faults()
        let server = try LoopbackServer { request in
            let isCut = (request.range?.lowerBound ?? 0) % (64 << 10) == 0 && faults.isFirst(request.range!.lowerBound)
            return partial(request, of: Self.bytes).with {
                if isCut { ($0.sends, $0.ending) = (1000, .cut) }
            }
        }
        #expect(try TestOrigin(server, size: bytes.count).readAll() == bytes)
        let starts = Set(server.requests.compactMap { $0.range?.lowerBound })
        let pieces = stride(from: 0, to: bytes.count, by: 64 << 10)
        #expect(starts == Set(pieces).union(pieces.map { $0 + 1000 }))
    }

    @Test func goesOnForEverAsLongAsItComesFurther() throws {
        let server = try LoopbackServer { request in
            partial(request, of: Self.bytes).with { ($0.sends, $0.ending) = (70_000, .cut) }
        }
        let origin = TestOrigin(server, size: bytes.count, attempts: 2)
        #expect(try origin.readAll(RangeOptions(connections: 1)) == bytes)
        #expect(origin.failures.all.count > 10)
    }

    @Test func givesUpWhereNothingComes() throws {
        let server = try LoopbackServer { _ in Reply(503) }
        let origin = TestOrigin(server, size: bytes.count, attempts: 3)
        #expect(failure { _ = try origin.readAll(RangeOptions(connections: 1)) }?.id == "http.status")
        #expect(server.requests.count == 3)
    }

    @Test(arguments: [1, 4]) func takesAllWhereRangesAreIgnored(_ connections: Int) throws {
        let server = try LoopbackServer { _ in Reply(200, [], Self.bytes) }
        let origin = TestOrigin(server, size: bytes.count)
        #expect(try origin.readAll(.small(connections: connections)) == bytes)
        // One for each connection that finds out, then one that brings everything.
        #expect(server.requests.count <= connections + 1)
    }

    @Test func takesAllWhereRangesBeginToBeIgnored() throws {
        let server = try LoopbackServer { request in
            request.range!.lowerBound < 300_000 ? partial(request, of: Self.bytes) : Reply(200, [], Self.bytes)
        }
        #expect(try TestOrigin(server, size: bytes.count).readAll() == bytes)
    }

    @Test(
        arguments: [
            "Content-Range: bytes 1-65536/1000003", "Content-Range: bytes 0-65535/1000004", "X-No: range",
            "Content-Range: bytes 0-99999999/1000003",
        ])
    func triesAgainWhereTheAnswerIsNotWhatWasAskedFor(_ wrong: String) throws {
        let faults = Faults()
        let server = try LoopbackServer { request in
            let isWrong = request.range?.lowerBound == 0 && faults.isFirst(0)
            return partial(request, of: Self.bytes).with { if isWrong { $0.headers = [wrong] } }
        }
        let origin = TestOrigin(server, size: bytes.count)
        #expect(try origin.readAll() == bytes)
        #expect(origin.failures.all.count == 1)
    }

    @Test func refusesAnObjectOfAnotherSize() throws {
        let server = try LoopbackServer { partial($0, of: Self.bytes) }
        for size in [bytes.count - 1, bytes.count + 70_000] {
            let error = failure { _ = try TestOrigin(server, size: size).readAll() }
            #expect(error?.id == "http.size")
            #expect(error?.code == .unverified)
        }
    }

    /// The server promises more or fewer bytes than it sends.
    @Test(arguments: [-100, 100]) func outlivesWrongLengths(_ difference: Int) throws {
        let faults = Faults()
        let server = try LoopbackServer { request in
            let isWrong = faults.isFirst(request.range!.lowerBound)
            return partial(request, of: Self.bytes).with {
                if isWrong { ($0.framing, $0.ending) = (.length($0.body.count + difference), .cut) }
            }
        }
        #expect(try TestOrigin(server, size: bytes.count).readAll() == bytes)
    }

    @Test func outlivesStalls() throws {
        let faults = Faults()
        let server = try LoopbackServer { request in
            let stalls = request.range!.lowerBound == 128 << 10 && faults.isFirst(0)
            return partial(request, of: Self.bytes).with { if stalls { ($0.sends, $0.ending) = (100, .stall) } }
        }
        let origin = TestOrigin(server, size: bytes.count, stall: .milliseconds(400))
        #expect(try origin.readAll() == bytes)
        #expect(origin.failures.all.contains("http.stalled"))
    }

    /// The head would never end.
    @Test func stopsAllPiecesWhenOneFailsForGood() throws {
        let server = try LoopbackServer { request in
            if request.range!.lowerBound == 128 << 10 { return Reply(404) }
            return partial(request, of: Self.bytes).with { ($0.sends, $0.ending) = (100, .stall) }
        }
        let pool = BlockPool(capacity: 24 << 20)
        let origin = TestOrigin(server, size: bytes.count, stall: .milliseconds(400))
        #expect(failure { _ = try origin.readAll(.small(pool: pool)) }?.id == "test.refused")
        #expect(pool.reservedBlocks == 0)
    }

    @Test func stopsWhenCancelled() async throws {
        let server = try LoopbackServer { request in
            partial(request, of: Self.bytes).with { ($0.sends, $0.ending) = (100, .stall) }
        }
        let pool = BlockPool(capacity: 24 << 20)
        let origin = TestOrigin(server, size: bytes.count)
        let task = Task(executorPreference: mayBlock) {
            failure { _ = try origin.readAll(.small(pool: pool)) }
        }
        // Until every connection is at work.
        while server.requests.count < 4 { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        #expect(await task.value?.code == .interrupted)
        #expect(pool.reservedBlocks == 0)
    }

    private struct Full: Error {}

    private struct FillingSink: ByteSink {
        var room: Int
        mutating func write(_ bytes: Span<UInt8>) throws {
            room -= bytes.count
            if room < 0 { throw Full() }
        }
    }

    @Test func endsWithTheErrorOfItsSink() throws {
        let server = try LoopbackServer { partial($0, of: Self.bytes) }
        let pool = BlockPool(capacity: 24 << 20)
        let origin = TestOrigin(server, size: bytes.count)
        var sink = FillingSink(room: 300_000)
        #expect(throws: Full.self) { try origin.read(0..<origin.size, .small(pool: pool), into: &sink) }
        #expect(pool.reservedBlocks == 0)
        #expect(origin.failures.all.isEmpty)
    }

    @Test(
        arguments: [
            (429, "\"resolvers\";r=0;t=12", 13), (429, "\"api\";r=5;t=12", nil), (200, "\"api\";r=0;t=12", nil),
            (429, "", nil), (429, "\"api\";r=0", nil), (429, "\"a\";r=0;t=3, \"b\"; r=0; t=7", 8),
            (429, "\"a\";r=0;t=-3", nil), (429, "\"a\";r=0;t=99999999999999999999", nil),
        ] as [(Int, String, Int64?)])
    func readsRateLimits(_ status: Int, _ text: String, _ seconds: Int64?) {
        let url = WebAddress(.http, host: "h")
        #expect(RateLimit.wait(HTTPResponse(status: status, headers: ["RateLimit": text], url: url)) == seconds)
    }
}
