import HTTP
import KapsuleCore
import KapsuleCrypto
import OCI
import Synchronization
import TestSupport
import Testing

/// Against a registry that does what real ones do on bad days.
@Suite struct RegistryFaultTests {
    typealias Reply = LoopbackServer.Reply
    typealias Request = LoopbackServer.Request

    static let ok = Reply(200)

    /// Answers `/v2/`; everything else is for `answer`, with a count from 0.
    static func server(_ answer: @escaping @Sendable (Request, Int) -> Reply) throws -> LoopbackServer {
        let count = Atomic(0)
        return try LoopbackServer { request in
            if request.path == "/v2/" { return ok }
            return answer(request, count.wrappingAdd(1, ordering: .relaxed).oldValue)
        }
    }

    static func client(_ server: LoopbackServer, _ credentials: CredentialStore = .anonymous) throws -> RegistryClient {
        try RegistryOracleTests.session(credentials) { $0.transport.stallTimeout = .milliseconds(300) }
            .client(for: Reference(parsing: "\(server.host)/acme/m"), access: .push)
    }

    static func requests(_ server: LoopbackServer) -> [Request] { server.requests.filter { $0.path != "/v2/" } }

    static func error(_ body: () throws -> Void) -> KapsuleError? {
        do {
            try body()
            return nil
        } catch { return error as? KapsuleError }
    }

    // MARK: Reading

    /// `bytes` from what `Range` asks for, as an honest server would send it.
    static func part(_ bytes: [UInt8], _ request: Request) -> Reply {
        guard let range = request["Range"] else { return Reply(200, [], bytes) }
        let ends = range.dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
        let body = Array(bytes[ends[0]...min(ends[1], bytes.count - 1)])
        return Reply(206, ["Content-Range: bytes \(ends[0])-\(ends[0] + body.count - 1)/\(bytes.count)"], body)
    }

    enum Fault: String, CaseIterable, Sendable {
        case cut, stall, ignoresRange, clipsRange, serverError, tooMany, redirects, signedAddressExpires,
            chunkedEndsEarly
    }

    @Test(arguments: Fault.allCases) func resumesWhereItBroke(_ fault: Fault) throws {
        let (blob, bytes) = RegistryOracleTests.blob(1_000_000)
        let storage = try LoopbackServer { request in
            if fault == .signedAddressExpires, request.target.contains("n=0") {
                return Reply(403, [], text: "<Error>expired</Error>")
            }
            return Self.part(bytes, request)
        }
        let server = try Self.server { request, count in
            let reply = Self.part(bytes, request)
            let isEarly = count < 2
            switch fault {
            case .cut where isEarly:
                return reply.with { ($0.sends, $0.ending) = (300_000, .cut) }
            case .chunkedEndsEarly where isEarly:
                return reply.with { ($0.sends, $0.ending, $0.framing) = (300_000, .cut, .close) }
            case .stall where count == 0:
                return reply.with { ($0.sends, $0.ending) = (300_000, .stall) }
            case .ignoresRange:
                return Reply(200, [], bytes).with {
                    if isEarly { ($0.sends, $0.ending) = (300_000 * (count + 1), .cut) }
                }
            case .clipsRange:
                return count == 0
                    ? reply.with { ($0.sends, $0.ending) = (300_000, .cut) }
                    : Reply(
                        206,
                        ["Content-Range: bytes \(300_000 * count)-\(min(300_000 * (count + 1), bytes.count) - 1)/*"],
                        Array(bytes[300_000 * count..<min(300_000 * (count + 1), bytes.count)]))
            case .serverError where isEarly: return Reply(503, [], text: "<html>busy</html>")
            case .tooMany where isEarly: return Reply(429, ["Retry-After: 0"])
            case .redirects, .signedAddressExpires:
                return Reply(307, ["Location: \(storage.base)/signed?n=\(count)"])
            default: return reply
            }
        }
        let store = CredentialStore(environment: [:], username: "u", password: "p")
        var sink = VerifyingSink(MemorySink(), expecting: blob.artifact, what: "blob")
        try Self.client(server, store).readBlob(blob, into: &sink)
        try sink.finish()
        #expect(sink.next.bytes == bytes)
        #expect(storage.requests.allSatisfy { $0["Authorization"] == nil })
        if fault == .cut {
            #expect(Self.requests(server).map { $0["Range"] } == [nil, "bytes=300000-999999", "bytes=600000-999999"])
        }
    }

    @Test func readsARangeFromAServerThatIgnoresThem() throws {
        let (blob, bytes) = RegistryOracleTests.blob(1_000_000)
        let server = try Self.server { _, _ in Reply(200, [], bytes) }
        for range in [0..<10, 5..<1_000_000, 999_999..<1_000_000, 500_000..<500_001] as [Range<Int64>] {
            var sink = MemorySink()
            try Self.client(server).readBlob(blob, range: range, into: &sink)
            #expect(sink.bytes == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
        }
    }

    @Test(arguments: [
        "bytes 0-4/10", "bytes 6-9/10", "bytes 5-10/11", "bytes 5-9", "", "bytes 5-9/11",
    ])
    func refusesAnotherRangeThanAskedFor(_ range: String) throws {
        let (blob, bytes) = RegistryOracleTests.blob(10)
        let server = try Self.server { _, _ in Reply(206, ["Content-Range: \(range)"], Array(bytes[5...])) }
        var sink = MemorySink()
        let error = Self.error { try Self.client(server).readBlob(blob, range: 5..<10, into: &sink) }
        #expect(["http.range", "http.size"].contains(error?.id))
        #expect(sink.bytes.isEmpty)
        #expect(Self.requests(server).count == 5, "a proxy may have been wrong for a moment")
    }

    @Test(arguments: [9, 11]) func refusesABlobOfAnotherLength(_ count: Int) throws {
        let (blob, _) = RegistryOracleTests.blob(10)
        let server = try Self.server { _, _ in Reply(200, [], [UInt8](repeating: 0, count: count)) }
        var sink = MemorySink()
        let error = Self.error { try Self.client(server).readBlob(blob, into: &sink) }
        #expect(error?.code == .unverified)
        #expect(sink.bytes.isEmpty)
    }

    @Test func asksForNothingAtTheEnd() throws {
        let (blob, _) = RegistryOracleTests.blob(10)
        let server = try Self.server { _, _ in Reply(416) }
        var sink = MemorySink()
        try Self.client(server).readBlob(blob, range: 10..<10, into: &sink)
        #expect(server.requests.isEmpty)
    }

    /// What a sink throws is not the network's fault, whatever it looks like.
    @Test func doesNotRetryWhatTheSinkThrows() throws {
        struct BrokenSink: ByteSink {
            mutating func write(_ bytes: Span<UInt8>) throws {
                throw KapsuleError(.unavailable, id: "http.cut", "other side")
            }
        }
        let (blob, bytes) = RegistryOracleTests.blob(1000)
        let server = try Self.server { request, _ in Self.part(bytes, request) }
        var sink = BrokenSink()
        #expect(Self.error { try Self.client(server).readBlob(blob, into: &sink) }?.message == "other side")
        #expect(Self.requests(server).count == 1)
    }

    @Test func givesUpWithARemedy() throws {
        let (blob, _) = RegistryOracleTests.blob(10)
        let server = try Self.server { _, _ in
            Reply(
                503, [],
                text: #"{"errors":[{"code":"UNAVAILABLE","message":"try\u001b[31m later","detail":{"x":[1]}}]}"#)
        }
        var sink = MemorySink()
        let error = Self.error { try Self.client(server).readBlob(blob, into: &sink) }
        #expect(error?.code == .unavailable)
        #expect(
            error?.message
                == "\(server.host) failed to read the blob \(blob.digest) of \(server.host)/acme/m: UNAVAILABLE: try [31m later (503)"
        )
        #expect(error?.remedy == "try again later; running the command again resumes")
        #expect(Self.requests(server).count == 5)
    }

    // MARK: Manifests

    @Test func refusesWhatIsNoHonestManifest() throws {
        let body = Array(#"{"mediaType":"\#(MediaType.manifest)"}"#.utf8)
        let type = "Content-Type: \(MediaType.manifest)"
        let other = Digest.of("other")
        let replies: [(Reply, ManifestName, String)] = [
            (Reply(200, ["Content-Type: \(MediaType.index)"], body), .tag("x"), "registry.media-type"),
            (Reply(200, [type, "Docker-Content-Digest: \(other)"], body), .tag("x"), "registry.digest"),
            (Reply(200, [type], body), .digest(other), "content.mismatch"),
            (Reply(200, [type], [UInt8](repeating: 32, count: 9 << 20)), .tag("x"), "http.too-large"),
            (
                Reply(200, [type], [UInt8](repeating: 32, count: 9 << 20)).with { $0.framing = .chunked }, .tag("x"),
                "http.too-large"
            ),
        ]
        for (reply, name, id) in replies {
            let server = try Self.server { _, _ in reply }
            let error = Self.error { _ = try Self.client(server).manifest(name) }
            #expect(error?.id == id)
            #expect(error?.code == .unverified)
        }
        let server = try Self.server { _, _ in Reply(200, [type + "; charset=utf-8"], body) }
        #expect(try Self.client(server).manifest(.digest(Digest.of(body))).mediaType == MediaType.manifest)
        #expect(Self.requests(server)[0]["Accept"]?.split(separator: ",").count == 4)
    }

    @Test func followsPagesOfTagsOnTheSameHost() throws {
        let server = try Self.server { request, count in
            switch request.target {
            case "/v2/acme/m/tags/list":
                Reply(200, [#"Link: </v2/acme/m/tags/list?last=b>; rel="next""#], text: #"{"tags":["b"]}"#)
            case "/v2/acme/m/tags/list?last=b": Reply(200, ["Link: <?last=c>; rel=next"], text: #"{"tags":null}"#)
            case "/v2/acme/m/tags/list?last=c":
                Reply(200, [#"Link: <http://127.0.0.2:1/>; rel="next""#], text: #"{"tags":["a"]}"#)
            default: Reply(500)
            }
        }
        #expect(try Self.client(server).tags() == ["a", "b"])
    }

    // MARK: Uploading

    /// A registry just good enough to be pushed to.
    static func sink(_ fault: @escaping @Sendable (Request, Int) -> Reply?) throws -> LoopbackServer {
        try server { request, count in
            if let reply = fault(request, count) { return reply }
            switch request.method {
            case "HEAD": return Reply(404)
            case "POST": return Reply(202, ["Location: /v2/acme/m/blobs/uploads/u\(count)?_state=a"])
            case "PATCH":
                return Reply(
                    202, ["Location: \(request.path)?_state=b", "Range: 0-\(Int(request["Content-Length"]!)! - 1)"])
            case "PUT": return Reply(201)
            default: return Reply(204)
            }
        }
    }

    static func methods(_ server: LoopbackServer) -> [String] { requests(server).map(\.method) }

    /// A registry that cannot say how much of an upload it has.
    @Test func beginsAnUploadAnewWhenItBreaks() throws {
        let (blob, bytes) = RegistryOracleTests.blob(1_000_000)
        let patches = Atomic(0)
        let server = try Self.sink { request, _ in
            guard request.method == "PATCH" else { return nil }
            switch patches.wrappingAdd(1, ordering: .relaxed).oldValue {
            case 0: return Reply(200).with { ($0.reads, $0.isSilent, $0.ending) = (1000, true, .cut) }
            case 1: return Reply(202, ["Location: /x", "Range: 0-17"])
            case 2: return Reply(404, [], text: #"{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}"#)
            default: return nil
            }
        }
        let activity = Activity("x", total: blob.size)
        #expect(try Self.client(server).uploadBlob(blob, from: MemorySource(bytes), activity: activity) == .uploaded)
        #expect(activity.done == blob.size)
        let attempt = ["POST", "PATCH", "GET", "DELETE", "HEAD"]
        #expect(Self.methods(server) == ["HEAD"] + attempt + attempt + attempt + ["POST", "PATCH", "PUT"])
        let put = try #require(Self.requests(server).last)
        #expect(put.target.hasSuffix("?_state=b&digest=sha256%3A\(blob.digest.hex)"))
        #expect(put["Content-Length"] == "0")
    }

    @Test func looksWhetherALostAnswerWasSuccess() throws {
        let (blob, bytes) = RegistryOracleTests.blob(1000)
        let puts = Atomic(0)
        let server = try Self.sink { request, _ in
            switch request.method {
            case "PUT":
                puts.add(1, ordering: .relaxed)
                return Reply(201).with { ($0.isSilent, $0.ending) = (true, .cut) }
            case "HEAD" where puts.load(ordering: .relaxed) > 0:
                return Reply(200).with { $0.framing = .length(1000) }
            default: return nil
            }
        }
        #expect(try Self.client(server).uploadBlob(blob, from: MemorySource(bytes)) == .uploaded)
        // libcurl itself asks once more when a kept connection breaks without an answer.
        #expect(puts.load(ordering: .relaxed) <= 2)
    }

    @Test func givesUpAnUploadThatTheServerRefuses() throws {
        let (blob, bytes) = RegistryOracleTests.blob(1000)
        for (status, code) in [(403, KapsuleError.Code.unauthorized), (413, .usage), (400, .unavailable)] {
            let server = try Self.sink { request, _ in request.method == "PATCH" ? Reply(status) : nil }
            #expect(Self.error { try Self.client(server).uploadBlob(blob, from: MemorySource(bytes)) }?.code == code)
            #expect(Self.methods(server) == ["HEAD", "POST", "PATCH", "DELETE"])
        }
        let server = try Self.sink { request, _ in
            request.method == "PUT" ? Reply(400, [], text: #"{"errors":[{"code":"DIGEST_INVALID"}]}"#) : nil
        }
        #expect(Self.error { try Self.client(server).uploadBlob(blob, from: MemorySource(bytes)) }?.code == .unverified)
        let liar = try Self.sink { request, _ in
            request.method == "PUT" ? Reply(201, ["Docker-Content-Digest: \(Digest.of("other"))"]) : nil
        }
        #expect(
            Self.error { try Self.client(liar).uploadBlob(blob, from: MemorySource(bytes)) }?.id == "registry.digest")
    }

    @Test func streamedUploadsSayWhatHappened() throws {
        let (_, bytes) = RegistryOracleTests.blob(1_000_000)
        let server = try Self.sink { request, _ in
            request.method == "PATCH"
                ? Reply(200).with { ($0.reads, $0.isSilent, $0.ending) = (1000, true, .cut) } : nil
        }
        let error = Self.error {
            let upload = try Self.client(server).beginStreamedUpload(size: 1 << 40)
            while true { try upload.write(bytes.span) }
        }
        #expect(error?.code == .unavailable)
        #expect(Self.methods(server).suffix(2) == ["PATCH", "DELETE"], "let go, it ends its session")
    }

    // MARK: Authentication

    @Test func neverLoops() throws {
        let server = try LoopbackServer { _ in Reply(401, ["WWW-Authenticate: Basic realm=x"]) }
        let store = CredentialStore(environment: [:], username: "u", password: "p")
        #expect(Self.error { _ = try Self.client(server, store).tags() }?.code == .unauthorized)
        #expect(server.requests.count == 2)
    }

    @Test func neverLoopsWithTokens() throws {
        let asked = Atomic(0)
        let realm = try LoopbackServer { _ in
            Reply(200, [], text: #"{"access_token":"t\#(asked.wrappingAdd(1, ordering: .relaxed).newValue)"}"#)
        }
        let server = try LoopbackServer { request in
            Reply(
                401,
                [
                    #"WWW-Authenticate: Bearer realm="\#(realm.base)/t",scope="repository:acme/m:pull,push,admin",error="insufficient_scope""#
                ])
        }
        let error = Self.error { _ = try Self.client(server).tags() }
        #expect(error?.code == .unauthorized)
        #expect(error?.remedy == "run 'kapsule login \(server.host)'")
        #expect(server.requests.count <= 4)
        #expect(realm.requests.count <= 3)
    }

    @Test func renewsATokenBeforeTheClosingRequest() throws {
        let asked = Atomic(0)
        let realm = try LoopbackServer { _ in
            Reply(
                200, [], text: #"{"token":"t\#(asked.wrappingAdd(1, ordering: .relaxed).newValue)","expires_in":300}"#)
        }
        let challenge = #"WWW-Authenticate: Bearer realm="\#(realm.base)/t",service="s""#
        let (blob, bytes) = RegistryOracleTests.blob(1000)
        let server = try LoopbackServer { request in
            if request.path == "/v2/" { return Reply(401, [challenge]) }
            let good = request.method == "PUT" ? "Bearer t2" : "Bearer t1"
            if request["Authorization"] != good { return Reply(401, [challenge + #",error="invalid_token""#]) }
            switch request.method {
            case "HEAD": return Reply(404)
            case "POST": return Reply(202, ["Location: /u"])
            case "PATCH": return Reply(202, ["Location: /u"])
            default: return Reply(201)
            }
        }
        let upload = try Self.client(server).beginStreamedUpload(size: blob.size)
        try upload.write(bytes.span)
        try upload.finish(blob.digest)
        #expect(Self.methods(server) == ["POST", "PATCH", "PUT", "PUT"])
    }

    @Test func sendsNoLoginToAnUnprotectedRealm() throws {
        let server = try LoopbackServer { _ in
            Reply(401, [#"WWW-Authenticate: Bearer realm="http://auth.example.com/token""#])
        }
        let store = CredentialStore(environment: [:], username: "u", password: "s3cret")
        let error = Self.error { _ = try Self.client(server, store).tags() }
        #expect(error?.id == "registry.realm")
        #expect(error?.message.contains("s3cret") == false)
    }

    @Test func sendsNoLoginToAnotherHostOfAnUpload() throws {
        let other = try LoopbackServer { request in Reply(request.method == "PUT" ? 201 : 202, ["Location: /v2/u"]) }
        let server = try LoopbackServer { request in
            if request["Authorization"] == nil { return Reply(401, ["WWW-Authenticate: Basic realm=x"]) }
            return request.method == "POST" ? Reply(202, ["Location: \(other.base)/u"]) : Reply(404)
        }
        let (blob, bytes) = RegistryOracleTests.blob(1000)
        let store = CredentialStore(environment: [:], username: "u", password: "p")
        try Self.client(server, store).uploadBlob(blob, from: MemorySource(bytes))
        #expect(other.requests.map(\.method) == ["PATCH", "PUT"])
        #expect(other.requests.allSatisfy { $0["Authorization"] == nil })
    }
}
