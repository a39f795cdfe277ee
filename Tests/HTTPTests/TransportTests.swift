import HTTP
import KapsuleCore
import KapsuleIO
import Synchronization
import TestSupport
import Testing

typealias Reply = LoopbackServer.Reply

extension WebAddress {
    static func of(_ server: LoopbackServer, _ target: String = "/") -> WebAddress {
        WebAddress(.http, host: "127.0.0.1", port: UInt16(server.port), target: target)
    }
}

/// Threads for what blocks until the test goes on: the tests' own are as few as there are cores.
let mayBlock = BlockingExecutor(threads: 4)

func failure(_ body: () throws -> Void) -> KapsuleError? {
    do {
        try body()
        return nil
    } catch {
        return error as? KapsuleError
    }
}

@Suite struct TransportTests {
    let transport = HTTPTransport(
        {
            var settings = TransportSettings()
            settings.userAgent = "kapsule/test"
            settings.stallTimeout = .milliseconds(300)
            return settings
        }())

    @Test func bringsStatusHeadersAndBody() throws {
        let server = try LoopbackServer { _ in
            Reply(418, ["X-Twice: a", "x-twice:  b ", "Empty:"], text: "tea")
        }
        let response = try transport.send(HTTPRequest(.get, .of(server, "/a?b=%2F"), headers: ["Accept": "x/y"]))
        #expect(response.status == 418)
        #expect(response.headers.all("X-TWICE") == ["a", "b"])
        #expect(response.headers["empty"] == "")
        #expect(response.body == Array("tea".utf8))
        let request = try #require(server.requests.first)
        #expect(request.method == "GET")
        #expect(request.target == "/a?b=%2F")
        #expect(request["Accept"] == "x/y")
        #expect(request["User-Agent"] == "kapsule/test")
    }

    @Test(arguments: [HTTPMethod.get, .head, .post, .put, .patch, .delete])
    func sendsEveryMethodWithoutBody(_ method: HTTPMethod) throws {
        let server = try LoopbackServer { _ in Reply(200) }
        for _ in 0..<3 { #expect(try transport.send(HTTPRequest(method, .of(server))).status == 200) }
        #expect(server.requests.map(\.method) == Array(repeating: method.rawValue, count: 3))
        #expect(server.requests.map(\.connection) == [0, 0, 0], "connections are kept")
        if [.post, .put, .patch].contains(method) { #expect(server.requests[0]["Content-Length"] == "0") }
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 3_000_000])
    func sendsBodiesWithTheirLength(_ count: Int) throws {
        let server = try LoopbackServer { _ in Reply(201) }
        var random = SeededGenerator(seed: 1)
        let bytes = random.bytes(count)
        let activity = Activity("x", total: nil)
        for body in [
            HTTPBody.bytes(bytes), .source(MemorySource([1, 2] + bytes + [3]), 2..<Int64(count) + 2, activity),
        ] {
            #expect(try transport.send(HTTPRequest(.put, .of(server), body: body)).status == 201)
        }
        #expect(activity.done == Int64(count))
        #expect(server.requests.allSatisfy { $0.body == bytes && $0["Content-Length"] == "\(count)" })
        #expect(server.requests.allSatisfy { $0["Expect"] == nil && $0["Transfer-Encoding"] == nil })
    }

    @Test(arguments: [Reply.Framing.length(), .chunked, .close])
    func bringsLargeBodiesIntoASink(_ framing: Reply.Framing) throws {
        var random = SeededGenerator(seed: 2)
        let bytes = random.bytes(1_500_000)
        let server = try LoopbackServer { _ in
            Reply(200, [], bytes).with {
                $0.framing = framing
                if case .close = framing { $0.ending = .cut }
                $0.piece = 100_003
            }
        }
        var sink = MemorySink()
        let response = try transport.fetch(HTTPRequest(.get, .of(server)), accepting: { $0.status == 200 }, into: &sink)
        #expect(response.body.isEmpty)
        #expect(sink.bytes == bytes)
    }

    @Test func keepsARefusalOutOfTheSink() throws {
        let server = try LoopbackServer { _ in Reply(404, [], text: "no such thing") }
        var sink = MemorySink()
        let response = try transport.fetch(HTTPRequest(.get, .of(server)), accepting: \.isSuccess, into: &sink)
        #expect(sink.bytes.isEmpty)
        #expect(response.excerpt() == "no such thing")
    }

    @Test func cutsALongRefusal() throws {
        let server = try LoopbackServer { _ in Reply(500, [], [UInt8](repeating: 65, count: 10_000_000)) }
        let response = try transport.send(HTTPRequest(.get, .of(server)))
        #expect(response.status == 500)
        #expect(response.body.count == 64 << 10)
    }

    @Test(arguments: [Reply.Framing.length(), .chunked])
    func refusesAnAnswerThatIsTooLong(_ framing: Reply.Framing) throws {
        let server = try LoopbackServer { _ in
            Reply(200, [], [UInt8](repeating: 65, count: 1001)).with { $0.framing = framing }
        }
        let error = failure { _ = try transport.send(HTTPRequest(.get, .of(server)), limit: 1000) }
        #expect(error?.code == .unverified)
        #expect(error?.id == "http.too-large")
        #expect(
            try transport.send(HTTPRequest(.head, .of(server)), limit: 1000).contentLength
                == (isLength(framing) ? 1001 : nil))
    }

    private func isLength(_ framing: Reply.Framing) -> Bool { if case .length = framing { true } else { false } }

    @Test func throwsWhatTheSinkThrows() throws {
        struct Full: Error {}
        struct FullSink: ByteSink {
            mutating func write(_ bytes: Span<UInt8>) throws { throw Full() }
        }
        let server = try LoopbackServer { _ in Reply(200, [], [1, 2, 3]) }
        #expect(throws: Full.self) {
            var sink = FullSink()
            _ = try transport.fetch(HTTPRequest(.get, .of(server)), accepting: { _ in true }, into: &sink)
        }
        #expect(throws: Full.self) {
            var sink = MemorySink()
            _ = try transport.fetch(HTTPRequest(.get, .of(server)), accepting: { _ in throw Full() }, into: &sink)
        }
        #expect(try transport.send(HTTPRequest(.get, .of(server))).status == 200, "the transport still works")
    }

    @Test func throwsWhatTheSourceThrows() throws {
        struct Broken: Error {}
        struct BrokenSource: ByteSource {
            let size: Int64 = 10
            let backing = ByteBacking.stream
            func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws { throw Broken() }
        }
        let server = try LoopbackServer { _ in Reply(200) }
        #expect(throws: Broken.self) {
            try transport.send(HTTPRequest(.put, .of(server), body: .source(BrokenSource(), 0..<10)))
        }
    }

    @Test func noticesABodyThatEndsEarly() throws {
        let server = try LoopbackServer { _ in
            Reply(200, [], [1, 2, 3]).with {
                $0.framing = .length(10)
                $0.ending = .cut
            }
        }
        let error = failure { _ = try transport.send(HTTPRequest(.get, .of(server))) }
        #expect(error?.id == "http.cut")
        #expect(error?.isTransientHTTP == true)
    }

    @Test func noticesAnAnswerThatNeverComes() throws {
        let server = try LoopbackServer { _ in
            Reply(200).with {
                $0.isSilent = true
                $0.ending = .stall
            }
        }
        let error = failure { _ = try transport.send(HTTPRequest(.get, .of(server, "/x?secret"))) }
        #expect(error?.id == "http.stalled")
        #expect(error?.message == "GET \(server.base)/x stalled: not a byte moved for 0.3 seconds")
    }

    @Test func noticesABodyThatStalls() throws {
        let server = try LoopbackServer { _ in
            Reply(200, [], [UInt8](repeating: 1, count: 1000)).with {
                $0.sends = 500
                $0.ending = .stall
            }
        }
        var sink = MemorySink()
        let error = failure {
            _ = try transport.fetch(HTTPRequest(.get, .of(server)), accepting: { _ in true }, into: &sink)
        }
        #expect(error?.id == "http.stalled")
        #expect(sink.bytes.count == 500)
    }

    @Test func endsSoonWhenTheTaskIsCancelled() async throws {
        let server = try LoopbackServer { _ in
            Reply(200).with {
                $0.isSilent = true
                $0.ending = .stall
            }
        }
        let patient = HTTPTransport()
        let url = WebAddress.of(server)
        let task = Task.detached(executorPreference: mayBlock) {
            failure { _ = try patient.send(HTTPRequest(.get, url)) }
        }
        while server.requests.isEmpty { await Task.yield() }
        let start = ContinuousClock.now
        task.cancel()
        #expect(await task.value?.code == .interrupted)
        #expect(start.duration(to: .now) < .seconds(20))
    }

    @Test func namesAHostThatNobodyKnows() {
        let error = failure {
            _ = try transport.send(HTTPRequest(.get, WebAddress(parsing: "http://no-such-host.invalid/v2/")!))
        }
        #expect(error?.id == "http.name-lookup")
        #expect(error?.message.contains("the name no-such-host.invalid is not known") == true)
    }

    // libcurl refused an option the second time, and the retry ended as a bug.
    @Test func aHostThatIsNotKnownIsNotKnownTheSecondTimeEither() throws {
        let address = try #require(WebAddress(parsing: "https://no-such-host.invalid/v2/"))
        for _ in 0..<3 {
            let error = failure { _ = try transport.send(HTTPRequest(.get, address)) }
            #expect(error?.id == "http.name-lookup", "\(error?.message ?? "")")
        }
    }

    @Test func saysThatNobodyListens() throws {
        let port = try LoopbackServer { _ in Reply(200) }.port
        let error = failure {
            _ = try transport.send(HTTPRequest(.get, WebAddress(.http, host: "127.0.0.1", port: UInt16(port))))
        }
        #expect(error?.id == "http.connect")
        #expect(error?.isTransientHTTP == true)
    }
}
