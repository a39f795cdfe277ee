import HTTP
import KapsuleCore
import Synchronization
import TestSupport
import Testing

@Suite struct StreamingUploadTests {
    let transport = HTTPTransport(
        {
            var settings = TransportSettings()
            settings.stallTimeout = .milliseconds(300)
            return settings
        }())

    func begin(_ server: LoopbackServer, _ size: Int, _ activity: Activity? = nil) -> StreamingUpload {
        transport.upload(HTTPRequest(.patch, .of(server, "/up")), size: Int64(size), activity: activity) { response in
            KapsuleError(.unavailable, id: "test.refused", "refused with \(response.status): \(response.excerpt())")
        }
    }

    /// Writes until it fails.
    func fill(_ upload: StreamingUpload, _ count: Int) throws {
        let block = [UInt8](repeating: 7, count: 100_000)
        var left = count
        while left > 0 {
            try upload.write(block.span.extracting(first: min(left, block.count)))
            left -= min(left, block.count)
        }
    }

    @Test(arguments: [0, 1, 524_287, 524_288, 524_289, 9_000_000], [1, 7919, 100_000, 4_000_000])
    func sendsWhatIsWritten(_ count: Int, _ step: Int) throws {
        guard count / step < 100_000 else { return }
        let server = try LoopbackServer { _ in Reply(202, ["Location: /next"]) }
        var random = SeededGenerator(seed: UInt64(count))
        let bytes = random.bytes(count)
        let activity = Activity("x", total: nil)
        let upload = begin(server, count, activity)
        for start in stride(from: 0, to: count, by: step) {
            try upload.write(bytes.span.extracting(start..<min(count, start + step)))
        }
        #expect(try upload.finish().headers["Location"] == "/next")
        #expect(server.requests[0].body == bytes)
        #expect(server.requests[0]["Content-Length"] == "\(count)")
        #expect(activity.done == Int64(count))
    }

    @Test func surfacesARefusalWhileWriting() throws {
        let server = try LoopbackServer { _ in
            Reply(413, [], text: "too much").with {
                $0.reads = 1000
                $0.ending = .cut
            }
        }
        let upload = begin(server, 1 << 40)
        let error = failure { try fill(upload, 1 << 40) }
        // Where the server's reset overtakes its answer, only the cut is seen.
        #expect(["test.refused", "http.cut"].contains(error?.id))
        #expect(failure { try fill(upload, 1 << 40) }?.id == error?.id, "and again, without waiting")
    }

    @Test func surfacesACutWhileWriting() throws {
        let server = try LoopbackServer { _ in
            Reply(200).with {
                $0.reads = 2_000_000
                $0.isSilent = true
                $0.ending = .cut
            }
        }
        let upload = begin(server, 1 << 40)
        #expect(failure { try fill(upload, 1 << 40) }?.isTransientHTTP == true)
    }

    @Test func surfacesAStallOfTheServer() throws {
        let server = try LoopbackServer { _ in
            Reply(200).with {
                $0.reads = 0
                $0.isSilent = true
                $0.ending = .stall
            }
        }
        // All is read, and no answer comes.
        let upload = begin(server, 1000)
        try fill(upload, 1000)
        #expect(failure { _ = try upload.finish() }?.id == "http.stalled")
    }

    @Test func surfacesThatNobodyListens() throws {
        let port = try LoopbackServer { _ in Reply(200) }.port
        let request = HTTPRequest(.patch, WebAddress(.http, host: "127.0.0.1", port: UInt16(port)))
        let upload = transport.upload(request, size: 1 << 40) { _ in KapsuleError(.defect, id: "x", "x") }
        #expect(failure { try fill(upload, 1 << 40) }?.id == "http.connect")
        #expect(
            failure {
                _ = try transport.upload(request, size: 0) { _ in KapsuleError(.defect, id: "x", "x") }.finish()
            }?.id == "http.connect")
    }

    /// The writer is slower than the stall limit: that is not the server's fault.
    @Test func waitsForASlowWriter() throws {
        let server = try LoopbackServer { _ in Reply(202) }
        let upload = begin(server, 600_000)
        try fill(upload, 550_000)
        let start = ContinuousClock.now
        while start.duration(to: .now) < .milliseconds(700) {}
        try fill(upload, 50_000)
        #expect(try upload.finish().status == 202)
    }

    @Test func letsGoOfTheServerWhenItIsAbandoned() async throws {
        let (heads, arrival) = AsyncStream<Void>.makeStream()
        let server = try LoopbackServer { _ in
            arrival.yield()
            return Reply(202)
        }
        var upload: StreamingUpload? = begin(server, 10_000_000)
        try fill(upload!, 600_000)
        for await _ in heads { break }
        upload = nil
        // The server sees the end of the connection, and records what came.
        while server.requests.isEmpty { await Task.yield() }
        #expect(server.requests[0].body.count < 10_000_000)
    }

    @Test func endsAWaitingWriterWhenTheTaskIsCancelled() async throws {
        let server = try LoopbackServer { _ in
            Reply(200).with {
                $0.reads = 0
                $0.isSilent = true
                $0.ending = .stall
            }
        }
        let patient = HTTPTransport()
        let started = Atomic(false)
        let url = WebAddress.of(server)
        let task = Task.detached(executorPreference: mayBlock) { () -> KapsuleError? in
            let upload = patient.upload(HTTPRequest(.patch, url), size: 1000) { _ in
                KapsuleError(.defect, id: "x", "x")
            }
            return failure {
                try self.fill(upload, 1000)
                started.store(true, ordering: .relaxed)
                _ = try upload.finish()
            }
        }
        while !started.load(ordering: .relaxed) { await Task.yield() }
        let start = ContinuousClock.now
        task.cancel()
        #expect(await task.value?.code == .interrupted)
        #expect(start.duration(to: .now) < .seconds(20))
    }

    @Test func keepsItsMemoryBounded() throws {
        // The server takes a little and stops reading: the writer must come to a halt, not fill memory.
        let server = try LoopbackServer { _ in
            Reply(200).with {
                $0.reads = 1000
                $0.isSilent = true
                $0.ending = .stall
            }
        }
        let upload = begin(server, 1 << 40)
        var taken = 0
        let error = failure {
            let block = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                try upload.write(block.span)
                taken += block.count
            }
        }
        #expect(error?.id == "http.stalled")
        #expect(taken < 32 << 20, "what the sockets and the ring hold")
    }
}
