import HTTP
import KapsuleCore
import TestSupport
import Testing

@Suite struct RedirectTests {
    let transport = HTTPTransport()
    static let headers: HTTPHeaders = [
        "Authorization": "Bearer secret", "Cookie": "c", "Range": "bytes=5-9", "Accept": "a/b",
    ]

    @Test(arguments: [301, 302, 303, 307, 308])
    func followsWithinItsOrigin(_ status: Int) throws {
        let server = try LoopbackServer {
            $0.path == "/to" ? Reply(200, [], text: "ok") : Reply(status, ["Location: /to?x"])
        }
        let response = try transport.send(HTTPRequest(.get, .of(server, "/from"), headers: Self.headers))
        #expect(response.body == Array("ok".utf8))
        #expect(response.url.target == "/to?x")
        let last = try #require(server.requests.last)
        #expect(last["Authorization"] == "Bearer secret")
        #expect(last["Range"] == "bytes=5-9")
    }

    @Test func leavesCredentialsWithTheirOrigin() throws {
        let other = try LoopbackServer { _ in Reply(206, ["Content-Range: bytes 5-9/10"], text: "hello") }
        let server = try LoopbackServer { _ in Reply(307, ["Location: \(other.base)/blob?signature=s"]) }
        var sink = MemorySink()
        let response = try transport.fetch(
            HTTPRequest(.get, .of(server), headers: Self.headers), accepting: { $0.status == 206 }, into: &sink)
        #expect(response.status == 206)
        #expect(sink.bytes == Array("hello".utf8))
        let request = try #require(other.requests.first)
        #expect(request["Authorization"] == nil)
        #expect(request["Cookie"] == nil)
        #expect(request["Range"] == "bytes=5-9")
        #expect(request["Accept"] == "a/b")
    }

    /// A client certificate says who we are as a token does.
    @Test(
        .enabled(if: TestProgram.python.isUsable, "python3 is not installed"),
        .enabled(if: TestProgram.openssl.isUsable, "openssl is not installed"))
    func leavesItsCertificateWithItsOrigin() throws {
        let certificates = try TestCertificates()
        try certificates.makeClient()
        let other = try CertificateWitness(certificates)
        let server = try CertificateWitness(certificates, redirect: "https://127.0.0.1:\(other.port)/to")
        var settings = TransportSettings()
        settings.tls.caFile = certificates.authority
        settings.tls.clientCertificate = certificates.clientCertificate
        settings.tls.clientKey = certificates.clientKey
        let transport = HTTPTransport(settings)
        for _ in 0..<2 {
            let url = WebAddress(.https, host: "127.0.0.1", port: UInt16(server.port), target: "/from")
            #expect(try transport.send(HTTPRequest(.get, url)).url.port == UInt16(other.port))
        }
        #expect(
            try server.requests(atLeast: 2) == ["GET /from client=kapsule client", "GET /from client=kapsule client"])
        #expect(try other.requests(atLeast: 2) == ["GET /to client=none", "GET /to client=none"])
    }

    /// Another name of the same machine is another origin.
    @Test func takesAnotherHostForAnotherOrigin() throws {
        let server = try LoopbackServer { request in
            request.path == "/to"
                ? Reply(200)
                : Reply(302, ["Location: http://localhost:\(request["Host"]!.split(separator: ":")[1])/to"])
        }
        #expect(try transport.send(HTTPRequest(.get, .of(server, "/from"), headers: Self.headers)).status == 200)
        #expect(server.requests.last?["Authorization"] == nil)
    }

    @Test(arguments: [HTTPMethod.post, .put, .patch, .delete])
    func followsNothingThatChangesThings(_ method: HTTPMethod) throws {
        let server = try LoopbackServer { _ in Reply(307, ["Location: /to"]) }
        #expect(try transport.send(HTTPRequest(method, .of(server), body: .none)).status == 307)
        #expect(server.requests.count == 1)
    }

    @Test func givesUpAfterTen() throws {
        let server = try LoopbackServer { _ in Reply(302, ["Location: /again"]) }
        let error = failure { _ = try transport.send(HTTPRequest(.get, .of(server))) }
        #expect(error?.id == "http.redirect")
        #expect(server.requests.count == 11)
    }

    @Test func refusesOtherSchemes() throws {
        let server = try LoopbackServer { _ in Reply(302, ["Location: file:///etc/passwd"]) }
        #expect(failure { _ = try transport.send(HTTPRequest(.get, .of(server))) }?.id == "http.redirect")
    }

    @Test func followsNothingWhereToldSo() throws {
        let server = try LoopbackServer { _ in Reply(302, ["Location: /to"]) }
        var request = HTTPRequest(.get, .of(server))
        request.redirects = .refuse
        #expect(try transport.send(request).status == 302)
    }
}
