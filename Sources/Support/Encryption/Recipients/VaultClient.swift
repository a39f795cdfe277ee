internal import HTTP
internal import KapsuleCore

/// Speaks with Vault.
///
/// Source: Vault, "HTTP API" and "Transit secrets engine (API)".
struct VaultClient: Sendable {
    let settings: VaultSettings
    private let transport: HTTPTransport

    init(_ settings: VaultSettings) {
        self.settings = settings
        transport = HTTPTransport(settings.transport)
    }

    /// - Parameters:
    ///   - path: below the mount, its parts not yet escaped.
    ///   - key: names the key in errors.
    /// - Returns: `data` of the answer.
    func read(_ path: [String], key: String) throws -> LooseJSON { try send(.get, path, nil, key: key) }

    func write(_ path: [String], _ body: JSON, key: String) throws -> LooseJSON {
        try send(.post, path, Array(body.compact.utf8), key: key)
    }

    private func send(_ method: HTTPMethod, _ path: [String], _ body: [UInt8]?, key: String) throws -> LooseJSON {
        let mount = settings.mount.split(separator: "/").map(String.init)
        let target = "/v1/" + (mount + path).map(Self.escaped).joined(separator: "/")
        let base = settings.address.target == "/" ? "" : settings.address.target
        var request = HTTPRequest(
            method,
            WebAddress(
                settings.address.scheme, host: settings.address.host, port: settings.address.port,
                target: base + target),
            headers: ["X-Vault-Request": "true", "Accept": "application/json"], body: body.map(HTTPBody.bytes) ?? .none)
        // Vault takes its token this way too, and this way no log shows it.
        if let token = settings.token { request.headers["Authorization"] = "Bearer \(token)" }
        request.headers["X-Vault-Namespace"] = settings.namespace
        if body != nil { request.headers["Content-Type"] = "application/json" }
        request.redirects = .refuse
        return try answer(to: request, path: path, key: key)
    }

    private func answer(to request: HTTPRequest, path: [String], key: String) throws -> LooseJSON {
        var refusal: VaultFailure?
        do {
            return try settings.retry.run { attempt in
                let response = try transport.send(request)
                if response.isSuccess { return try data(response) }
                let failure = VaultFailure(response, path: path, key: key, settings: settings)
                guard failure.mayPass else {
                    attempt.isFinal = true
                    throw failure.error
                }
                refusal = failure
                attempt.heard(response)
                throw KapsuleError(.unavailable, id: "http.status", failure.error.message)
            }
        } catch let error as KapsuleError where error.id == "http.status" {
            throw refusal?.error ?? error
        } catch let error as KapsuleError where error.id.hasPrefix("http.") {
            var error = error.while("asking Vault")
            error.remedy = "check VAULT_ADDR (it is \(settings.address)) and that Vault runs"
            throw error
        }
    }

    private func data(_ response: HTTPResponse) throws -> LooseJSON {
        guard let document = LooseJSON(response.body), let data = document["data"] else {
            throw KapsuleError(
                .unavailable, id: "vault.answer",
                "what answers at \(settings.address) is no Vault: its answer has no data",
                remedy: "check VAULT_ADDR")
        }
        return data
    }

    /// Source: RFC 3986, 2.3, unreserved characters.
    private static func escaped(_ part: String) -> String {
        part.utf8.reduce(into: "") { text, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + Hex.encode([byte]).uppercased()
            }
        }
    }
}

/// What Vault refuses with, and what to do about it.
struct VaultFailure {
    let status: Int
    /// What Vault says, made fit to be shown.
    let reasons: String
    private let path: [String]
    private let key: String
    private let settings: VaultSettings

    init(_ response: HTTPResponse, path: [String], key: String, settings: VaultSettings) {
        status = response.status
        self.path = path
        self.key = key
        self.settings = settings
        let errors = (LooseJSON(response.body)?["errors"]?.items ?? []).compactMap(\.text)
        reasons = Excerpt.of(errors.joined(separator: "; "), limit: 300)
    }

    /// Whether it may be different a moment later. Not 500: an RSA key that does not fit is reported so.
    var mayPass: Bool { [429, 502, 503].contains(status) }

    private var full: String { "\(settings.mount)/\(key)" }
    private var said: String { reasons.isEmpty ? "" : ": \(reasons)" }

    var error: KapsuleError {
        switch status {
        case 400 where reasons.contains("not exportable"):
            make(
                .unauthorized, "vault.not-exportable", "the key \(full) cannot be exported from Vault",
                "leave out --encryption-vault-export: the layer key is then unwrapped inside Vault")
        case 400 where reasons.contains("not found"):
            make(
                .usage, "vault.no-key", "Vault has no key \(full)",
                "check the name; 'vault list \(settings.mount)/keys' lists keys")
        case 400:
            make(.usage, "vault.refused", "Vault refused to use the key \(full)\(said)", "check the kind of the key")
        case 401, 403:
            make(
                .unauthorized, "vault.denied", "Vault does not let this token use \(full) (\(status)\(said))",
                "log in again ('vault login'), or have a policy with: path \"\(settings.mount)/\(policyPath)\" "
                    + "{ capabilities = [\"\(path.first == "keys" || path.first == "export" ? "read" : "update")\"] }")
        case 404:
            make(
                .usage, "vault.no-key", "Vault has no key \(full), or no transit engine at \(settings.mount)",
                "check --encryption-vault-key, --encryption-vault-path and the namespace")
        case 429:
            make(.unavailable, "vault.busy", "Vault limits how often it is asked (429)", "run the command again later")
        case 472, 473:
            make(
                .unavailable, "vault.standby", "\(settings.address) is a standby (\(status))",
                "give the address of the active Vault")
        case 503:
            make(
                .unavailable, "vault.sealed", "Vault at \(settings.address) is sealed or in maintenance (503)",
                "have it unsealed ('vault operator unseal'), then run the command again")
        case 500 where reasons.contains("decrypt"):
            make(
                .undecryptable, "vault.not-for-us", "the key \(full) does not open it (Vault says: \(reasons))",
                "an image that skopeo encrypted with the public key uses OAEP with SHA-1, which Vault cannot do: give skopeo "
                    + "the key as a JSON Web Key with \"alg\":\"RSA-OAEP-256\", or add --encryption-vault-export")
        default:
            make(
                .unavailable, "vault.failed", "Vault failed (\(status)\(said))",
                "ask whoever runs it, or try again later")
        }
    }

    private var policyPath: String { path.prefix(2).joined(separator: "/") }

    private func make(_ code: KapsuleError.Code, _ id: String, _ message: String, _ remedy: String) -> KapsuleError {
        KapsuleError(code, id: id, message, remedy: remedy)
    }
}
