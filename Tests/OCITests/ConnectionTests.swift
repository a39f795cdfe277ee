import Foundation
import HTTP
import KapsuleCore
import OCI
import TestSupport
import Testing

/// The ways in which a registry is reached: IPv6, HTTP/2, client certificates, connections that break within TLS.
@Suite(
    .enabled(if: TestProgram.registry.isUsable, "docker-registry is not installed: apt-get install docker-registry"),
    .enabled(if: TestProgram.openssl.isUsable, "openssl is not installed: apt-get install openssl"))
struct ConnectionTests {
    /// A registry with TLS, and what a client has to know of it.
    private struct Place {
        let certificates: TestCertificates
        let registry: ThrowawayRegistry
        let directory: TemporaryDirectory

        init(asksForCertificates: Bool = false, address: String = "127.0.0.1") throws {
            certificates = try TestCertificates()
            registry = try ThrowawayRegistry(
                tls: certificates, asksForCertificates: asksForCertificates, address: address)
            directory = try TemporaryDirectory()
        }

        func client(port: Int? = nil, _ change: (inout RegistryOptions) -> Void = { _ in }) throws -> RegistryClient {
            let session = RegistryOracleTests.session { options in
                options.caFile = certificates.authority
                options.certificateDirectories = [directory.path]
                change(&options)
            }
            let host = port.map { "127.0.0.1:\($0)" } ?? registry.host
            return try session.client(for: Reference(parsing: "\(host)/acme/m:1"), access: .push)
        }

        /// What Docker wants in `certs.d/HOST:PORT`.
        func install(_ certificate: String, _ key: String, authority: String) throws {
            for (name, path) in [("client.cert", certificate), ("client.key", key), ("ca.crt", authority)] {
                try directory.write(
                    "\(registry.host)/\(name)", String(contentsOfFile: path, encoding: .utf8))
            }
        }
    }

    @Test func speaksIPv6() throws {
        let registry = try ThrowawayRegistry(address: "[::1]")
        #expect(registry.host.hasPrefix("[::1]:"))
        try RegistryOracleTests.roundTrip(try RegistryOracleTests.client(registry))
        #expect(registry.openUploads == [])
    }

    @Test func speaksTLSOverIPv6() throws {
        let place = try Place(address: "[::1]")
        try RegistryOracleTests.roundTrip(try place.client())
    }

    @Test func speaksHTTP2WhereTheServerDoes() throws {
        let place = try Place()
        try RegistryOracleTests.roundTrip(try place.client())
        for request in [
            "PATCH /v2/acme/m/blobs/uploads/", "PUT /v2/acme/m/manifests/1", "GET /v2/acme/m/blobs/sha256:",
        ] {
            try place.registry.waitForLog(request + #"[^ ]* HTTP/2\.0"#)
        }
    }

    /// Harbor, Artifactory and others behind a proxy that ends TLS and does not say so: they send us on over plain HTTP.
    @Test func staysWithTLSWhereTheRegistryDoesNotKnowOfIt() throws {
        let certificates = try TestCertificates()
        let registry = try ThrowawayRegistry(tls: certificates, believesToBe: "http://localhost")
        let session = RegistryOracleTests.session { $0.caFile = certificates.authority }
        let client = try session.client(
            for: Reference(parsing: "localhost:\(registry.port)/acme/m:1"), access: .push)
        try RegistryOracleTests.roundTrip(client)
    }

    @Test func showsItsCertificate() throws {
        let place = try Place(asksForCertificates: true)
        try place.certificates.makeClient()
        try place.install(
            place.certificates.clientCertificate, place.certificates.clientKey, authority: place.certificates.authority)
        try RegistryOracleTests.roundTrip(try place.client { $0.caFile = nil })
    }

    /// The server hangs up behind its alert, which may outrun it: then it is asked again.
    @Test func saysThatACertificateIsWanted() throws {
        let place = try Place(asksForCertificates: true)
        func refusal() throws -> KapsuleError? {
            #expect(throws: KapsuleError.self) { try place.client { $0.retry.attempts = 20 }.tags() }
        }
        for _ in 0..<2 {
            let error = try refusal()
            #expect(error?.code == .unauthorized, "\(error?.message ?? "")")
            #expect(error?.id == "http.client-certificate")
            #expect(error?.remedy?.contains("certs.d/\(place.registry.host)/") == true)
            // The second time with one that another authority has signed.
            let others = try TestCertificates()
            try others.makeClient()
            try place.install(others.clientCertificate, others.clientKey, authority: place.certificates.authority)
        }
    }

    @Test func aCertificateNeedsItsKey() throws {
        let place = try Place()
        try place.directory.write("\(place.registry.host)/client.cert", "TEST ONLY")
        let error = #expect(throws: KapsuleError.self) { try place.client().tags() }
        #expect(error?.id == "registry.client-certificate")
        #expect(error?.code == .usage)
    }

    /// In the handshake, in the body of an answer, in the body of a request.
    @Test(
        arguments: [(.up, 200), (.down, 400), (.down, 1_500_000), (.up, 1_500_000)] as [(Relay.Direction, Int64)])
    func outlivesACut(_ direction: Relay.Direction, _ place: Int64) throws {
        let server = try Place()
        let relay = try Relay(to: server.registry.port)
        let (layer, bytes) = RegistryOracleTests.blob(3_000_000)
        func cut() {
            relay.reset()
            relay.after(place, direction) {
                relay.cut()
                relay.mend()
            }
        }
        if direction == .up { cut() }
        try server.client(port: relay.port).uploadBlob(layer, from: MemorySource(bytes))
        if direction == .down { cut() }
        var sink = MemorySink()
        try server.client(port: relay.port).readBlob(layer, into: &sink)
        #expect(sink.bytes == bytes)
        // What came before the cut does not come again.
        if direction == .down { #expect(relay.down < 3_600_000, "\(relay.down)") }
    }
}
