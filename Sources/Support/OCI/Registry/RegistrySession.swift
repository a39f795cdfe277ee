internal import HTTP
internal import KapsuleCore
internal import KapsuleIO
internal import Logging
internal import Synchronization

/// What is shared by all clients of a run: connections, tokens, and what is known of hosts.
public final class RegistrySession: Sendable {
    public let options: RegistryOptions
    let credentials: CredentialStore
    let tokens = TokenCache()
    let notes: RegistryNotes
    private let transports = Mutex<[TLSSettings: HTTPTransport]>([:])
    private let tls = Mutex<[String: TLSSettings]>([:])
    private let hosts = Mutex<[String: RegistryHost]>([:])
    private let shownWarnings = Mutex<Set<String>>([])
    private let knownCredentials = Mutex<[String: Credential?]>([:])

    public init(_ options: RegistryOptions, credentials: CredentialStore) {
        self.options = options
        self.credentials = credentials
        notes = RegistryNotes(cache: options.cacheDirectory)
    }

    /// A client for the repository that `reference` names. Without a host, that is Docker Hub's.
    public func client(for reference: Reference, access: RegistryAccess = .pull) throws -> RegistryClient {
        let name = RegistryName(reference)
        return RegistryClient(host: host(name), repository: name.repository, access: access)
    }

    private func host(_ name: RegistryName) -> RegistryHost {
        hosts.withLock { hosts in
            if let host = hosts[name.host] { return host }
            let host = RegistryHost(name, self)
            hosts[name.host] = host
            return host
        }
    }

    /// Hosts with the same trust share their transport.
    func transport(for url: WebAddress) throws -> HTTPTransport {
        var settings = options.transport
        settings.tls = try tlsSettings(url.authority)
        let key = settings.tls
        return transports.withLock { transports in
            if let transport = transports[key] { return transport }
            let transport = HTTPTransport(settings)
            transports[key] = transport
            return transport
        }
    }

    /// What is in certs.d is looked up once a host.
    private func tlsSettings(_ authority: String) throws -> TLSSettings {
        if let known = tls.withLock({ $0[authority] }) { return known }
        let found = try CertificateDirectories.settings(for: authority, options)
        tls.withLock { $0[authority] = found }
        return found
    }

    /// Who we are there. A helper program is asked once a repository.
    func credential(for host: String, repository: String) throws -> Credential? {
        let key = "\(host)/\(repository)"
        if let known = knownCredentials.withLock({ $0[key] }) { return known }
        let found = try credentials.credential(for: host, repository: repository)
        knownCredentials.withLock { $0[key] = .some(found) }
        return found
    }

    /// Shows each text of a `Warning: 299 - "text"` once, and does nothing else about it.
    func showWarnings(of response: HTTPResponse, from host: String) {
        for value in response.headers.all("Warning") {
            guard let text = WarningHeader.text(value) else { continue }
            let line = "\(host) warns: \(Excerpt.of(text, limit: 300))"
            if shownWarnings.withLock({ $0.insert(line).inserted }) { options.transport.logger.warning("\(line)") }
        }
    }
}

/// Source: RFC 7234, section 5.5, and OCI distribution-spec 1.1, "Warnings".
enum WarningHeader {
    /// The text of `299 - "text"`; nil for other codes.
    static func text(_ value: String) -> String? {
        let words = value.split(separator: " ", maxSplits: 2)
        guard words.count == 3, words[0] == "299" else { return nil }
        let quoted = words[2].prefix { $0 != "\r" }
        guard quoted.hasPrefix("\""), let end = quoted.lastIndex(of: "\""), end != quoted.startIndex else { return nil }
        return String(quoted[quoted.index(after: quoted.startIndex)..<end]).replacing("\\\"", with: "\"")
    }
}

/// What a reference means to a registry.
///
/// Source: distribution/reference: `docker.io` is served by `registry-1.docker.io`, its one-word names are `library/…`.
struct RegistryName {
    static let dockerHub = "docker.io"

    /// As people write it.
    let host: String
    let repository: String

    init(_ reference: Reference) {
        self.init(host: reference.host ?? Self.dockerHub, repository: reference.repository)
    }

    init(host given: String, repository: String = "") {
        host =
            ["index.docker.io", "registry-1.docker.io"].contains(given.lowercased())
            ? Self.dockerHub : given.lowercased()
        let isShort = host == Self.dockerHub && !repository.isEmpty && !repository.contains("/")
        self.repository = isShort ? "library/\(repository)" : repository
    }

    /// Whom to connect to.
    var authority: String { host == Self.dockerHub ? "registry-1.docker.io" : host }
}

/// `/etc/docker/certs.d/HOST:PORT/{ca.crt,client.cert,client.key}`.
///
/// Source: Docker, "Verify repository client with certificates"; containers-certs.d(5).
enum CertificateDirectories {
    static func settings(for authority: String, _ options: RegistryOptions) throws -> TLSSettings {
        var settings = options.transport.tls
        settings.verifiesServer = !options.insecure
        settings.caFile = options.caFile ?? settings.caFile
        for directory in options.certificateDirectories.map({ "\($0)/\(authority)" }) {
            guard try FileStatus.of(directory, followsLinks: true) != nil else { continue }
            settings.caFile = try existing("\(directory)/ca.crt") ?? settings.caFile
            let (certificate, key) = (try existing("\(directory)/client.cert"), try existing("\(directory)/client.key"))
            guard (certificate == nil) == (key == nil) else {
                throw KapsuleError(
                    .usage, id: "registry.client-certificate",
                    "\(directory) holds only one of client.cert and client.key",
                    remedy: "put both there, or neither")
            }
            (settings.clientCertificate, settings.clientKey) = (certificate, key)
            break
        }
        return settings
    }

    private static func existing(_ path: String) throws -> String? {
        try FileStatus.of(path, followsLinks: true) == nil ? nil : path
    }
}
