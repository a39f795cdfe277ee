public import HTTP
internal import KapsuleCore
internal import KapsuleIO
public import Logging

/// Which Vault, as whom, and where in it.
public struct VaultSettings: Sendable {
    public var address: WebAddress
    /// Sent to that address only, and never shown.
    var token: String?
    var namespace: String?
    /// Where the transit engine is mounted; may have several parts.
    public var mount: String
    public var transport = TransportSettings()
    public var retry: RetryPolicy

    /// What the command line says; what it leaves out the environment may.
    public struct Words: Sendable {
        public var address: String?
        public var mount: String?
        public var namespace: String?
        public var token: String?

        public init(address: String? = nil, mount: String? = nil, namespace: String? = nil, token: String? = nil) {
            self.address = address
            self.mount = mount
            self.namespace = namespace
            self.token = token
        }
    }

    /// `VAULT_ADDR`, `VAULT_TOKEN` or `~/.vault-token`, `VAULT_NAMESPACE`, `VAULT_CACERT`, `VAULT_CLIENT_CERT`,
    /// `VAULT_CLIENT_KEY`, `VAULT_SKIP_VERIFY`. Every word beats its variable.
    public init(_ words: Words, environment: [String: String], logger: Logger? = nil) throws {
        func value(_ word: String?, _ name: String) -> String? {
            [word, environment[name]].compactMap(\.self).first { !$0.isEmpty }
        }
        let text = value(words.address, "VAULT_ADDR") ?? "https://127.0.0.1:8200"
        guard let address = WebAddress(parsing: text) else {
            throw KapsuleError(
                .usage, id: "vault.address", "'\(text)' is no address of a Vault",
                remedy: "write it as https://vault.example.org:8200")
        }
        self.address = address
        token = try value(words.token, "VAULT_TOKEN") ?? Self.savedToken(environment)
        namespace = value(words.namespace, "VAULT_NAMESPACE")
        mount = words.mount ?? "transit"
        retry = RetryPolicy(environment: environment)
        retry.attempts = 3
        transport.tls.caFile = value(nil, "VAULT_CACERT")
        transport.tls.clientCertificate = value(nil, "VAULT_CLIENT_CERT")
        transport.tls.clientKey = value(nil, "VAULT_CLIENT_KEY")
        transport.tls.verifiesServer = !["1", "t", "true"].contains(environment["VAULT_SKIP_VERIFY"]?.lowercased())
        if let logger { transport.logger = logger }
        transport.userAgent = "kapsule"
    }

    /// What `vault login` leaves behind.
    private static func savedToken(_ environment: [String: String]) throws -> String? {
        guard let home = environment["HOME"], !home.isEmpty,
            try FileStatus.of("\(home)/.vault-token", followsLinks: true)?.kind == .regular
        else { return nil }
        let bytes = try FileSource(path: "\(home)/.vault-token").readAll(limit: 64 << 10, what: "~/.vault-token")
        let text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
