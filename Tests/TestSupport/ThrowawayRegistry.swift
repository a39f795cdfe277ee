import Foundation

/// A real registry (Docker's distribution 2.8) on a free port of this machine, with a store of its own. Ends with the
/// value.
public final class ThrowawayRegistry: Sendable {
    public enum Access: Sendable {
        case open
        /// `user`, `password`.
        case basic(String, String)
        /// Tokens from a `TokenServer`.
        case token(TokenServer)
    }

    private let directory: TemporaryDirectory
    private let process: BackgroundProcess
    /// Lives as long as the registry that sends people to it.
    private let access: Access
    public let port: Int

    /// `127.0.0.1:PORT`.
    public var host: String { "127.0.0.1:\(port)" }

    public init(_ access: Access = .open, tls: TestCertificates? = nil) throws {
        self.access = access
        directory = try TemporaryDirectory()
        var settings = [
            "version: 0.1", "log: {level: info, formatter: text, accesslog: {disabled: false}}", "storage:",
            "  cache: {blobdescriptor: inmemory}", "  filesystem: {rootdirectory: '\(directory.path)/data'}",
            "  delete: {enabled: true}", "  maintenance: {uploadpurging: {enabled: false}}", "http:",
            "  addr: 127.0.0.1:0", "  secret: test",
        ]
        if let tls { settings.append("  tls: {certificate: '\(tls.certificate)', key: '\(tls.key)'}") }
        switch access {
        case .open: break
        case .basic(let user, let password):
            let line = try TestProgram.htpasswd.check(["-nbB", "-C", "4", user, password])
            let path = try directory.write("htpasswd", line)
            settings.append("auth: {htpasswd: {realm: test, path: '\(path)'}}")
        case .token(let server):
            settings.append(
                "auth: {token: {realm: '\(server.realm)', service: '\(TokenServer.service)', "
                    + "issuer: '\(TokenServer.issuer)', rootcertbundle: '\(server.certificates.certificate)'}}")
        }
        let config = try directory.write("config.yml", settings.joined(separator: "\n") + "\n")
        process = try BackgroundProcess(.registry, ["serve", config])
        let text = try process.wait(for: #"listening on 127\.0\.0\.1:([0-9]+)"#)
        port = Int(text) ?? 0
    }

    /// Waits until its log has a match; it has a line for each request.
    public func waitForLog(_ pattern: String) throws { _ = try process.wait(for: "(\(pattern))") }

    /// Where it keeps what it was given.
    public var data: String { "\(directory.path)/data/docker/registry/v2" }

    /// The file of a blob or a manifest.
    public func blob(_ digest: String) -> String {
        let hex = digest.replacingOccurrences(of: "sha256:", with: "")
        return "\(data)/blobs/sha256/\(hex.prefix(2))/\(hex)/data"
    }

    /// Upload sessions that are open: what a client left behind.
    public var openUploads: [String] {
        let root = "\(directory.path)/data/docker/registry/v2/repositories"
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: root)) ?? []
        return paths.filter { $0.contains("/_uploads/") && $0.hasSuffix("/startedat") }
    }
}

/// A private authority, and a certificate of its for `127.0.0.1` and `localhost`.
public final class TestCertificates: Sendable {
    private let directory: TemporaryDirectory
    public var authority: String { "\(directory.path)/ca.crt" }
    public var certificate: String { "\(directory.path)/server.crt" }
    public var key: String { "\(directory.path)/server.key" }

    public init() throws {
        directory = try TemporaryDirectory()
        let path = directory.path
        func openssl(_ arguments: String...) throws { try TestProgram.openssl.check(arguments, in: path) }
        try openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kapsule TEST ONLY authority",
            "-keyout", "ca.key", "-out", "ca.crt")
        try openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out",
            "server.csr")
        try directory.write("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        try openssl(
            "x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "names", "-out", "server.crt")
    }
}

/// Issues bearer tokens for a `ThrowawayRegistry`: pull for anyone, all for its user.
public final class TokenServer: Sendable {
    static let service = "test-registry"
    static let issuer = "test-issuer"
    public static let user = "alice"
    public static let password = "wonder"

    let certificates: TestCertificates
    private let process: BackgroundProcess
    private let port: String

    var realm: String { "http://127.0.0.1:\(port)/token" }

    public init(_ options: [String] = []) throws {
        certificates = try TestCertificates()
        process = try BackgroundProcess(
            .pythonCryptography,
            [
                "\(TestProgram.directory)/token_server.py", "0", certificates.key, certificates.certificate, "--user",
                "\(Self.user):\(Self.password)", "--issuer", Self.issuer,
            ] + options)
        port = try process.wait(for: "listening ([0-9]+)")
    }

    /// One line a request: `GET /token?… auth=Basic`.
    public var requests: [String] {
        process.output.split(separator: "\n").map(String.init).filter { $0.hasPrefix("GET") || $0.hasPrefix("POST") }
    }

    /// What a login with `offline_token` would give.
    public var identityToken: String {
        "refresh-" + Data("\(Self.user):\(Self.password)".utf8).base64EncodedString()
    }
}
