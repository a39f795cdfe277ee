import Foundation

/// A real registry (Docker's distribution: Debian's 2.8, or what `KAPSULE_REGISTRY` names) on a free port of this machine,
/// with a store of its own. Ends with the value.
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
    private let address: String
    public let port: Int

    /// `127.0.0.1:PORT`.
    public var host: String { "\(address):\(port)" }

    /// Whether an upload that was cut keeps what came of it. 2.8 does not.
    public static func keepsWhatCame() throws -> Bool {
        try !TestProgram.registry.check(["--version"]).contains(" 2.")
    }

    /// - Parameters:
    ///   - asksForCertificates: whether clients have to show one that `tls` has signed.
    ///   - address: to listen on: `[::1]`.
    ///   - believesToBe: the address that it sends its clients to.
    public init(
        _ access: Access = .open, tls: TestCertificates? = nil, asksForCertificates: Bool = false,
        address: String = "127.0.0.1", believesToBe: String? = nil
    ) throws {
        self.access = access
        self.address = address
        directory = try TemporaryDirectory()
        var settings = [
            "version: 0.1", "log: {level: info, formatter: text, accesslog: {disabled: false}}", "storage:",
            "  cache: {blobdescriptor: inmemory}", "  filesystem: {rootdirectory: '\(directory.path)/data'}",
            "  delete: {enabled: true}", "  maintenance: {uploadpurging: {enabled: false}}", "http:",
            "  addr: '\(address):0'", "  secret: test",
        ]
        if let believesToBe { settings.append("  host: '\(believesToBe)'") }
        if let tls {
            let clients = asksForCertificates ? ", clientcas: ['\(tls.authority)']" : ""
            settings.append("  tls: {certificate: '\(tls.certificate)', key: '\(tls.key)'\(clients)}")
        }
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
        let text = try process.wait(for: #"listening on [^"]*:([0-9]+)"#)
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

    /// Bytes of uploads that are open.
    public var uploadedBytes: Int64 {
        let root = "\(data)/repositories"
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: root)) ?? []
        return paths.filter { $0.contains("/_uploads/") && $0.hasSuffix("/data") }.reduce(0) { sum, path in
            let size = try? FileManager.default.attributesOfItem(atPath: "\(root)/\(path)")[.size] as? Int64
            return sum + (size ?? 0)
        }
    }

    /// Upload sessions that are open: what a client left behind.
    public var openUploads: [String] {
        let root = "\(directory.path)/data/docker/registry/v2/repositories"
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: root)) ?? []
        return paths.filter { $0.contains("/_uploads/") && $0.hasSuffix("/startedat") }
    }
}

/// A private authority, and certificates of its: one for `127.0.0.1`, `[::1]`, `localhost` and `registry.test`, one for a
/// client called `kapsule client`.
public final class TestCertificates: Sendable {
    private let directory: TemporaryDirectory
    public var authority: String { "\(directory.path)/ca.crt" }
    public var certificate: String { "\(directory.path)/server.crt" }
    public var key: String { "\(directory.path)/server.key" }
    /// Made by `makeClient`.
    public var clientCertificate: String { "\(directory.path)/client.crt" }
    public var clientKey: String { "\(directory.path)/client.key" }

    public init() throws {
        directory = try TemporaryDirectory()
        try openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kapsule TEST ONLY authority",
            "-keyout", "ca.key", "-out", "ca.crt")
        try sign("server", "localhost", "subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1,IP:::1\n")
    }

    /// Makes the client's certificate.
    public func makeClient() throws { try sign("client", "kapsule client", "extendedKeyUsage=clientAuth\n") }

    private func openssl(_ arguments: String...) throws {
        try TestProgram.openssl.check(arguments, in: directory.path)
    }

    private func sign(_ name: String, _ subject: String, _ extensions: String) throws {
        try openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(subject)", "-keyout", "\(name).key", "-out",
            "\(name).csr")
        try directory.write("\(name).ext", extensions)
        try openssl(
            "x509", "-req", "-days", "2", "-in", "\(name).csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "\(name).ext", "-out", "\(name).crt")
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
