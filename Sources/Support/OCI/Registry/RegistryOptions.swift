public import HTTP

/// How registries are spoken to. Equal for every registry of a run.
public struct RegistryOptions: Sendable {
    /// Plain HTTP to hosts other than this machine, which may always be spoken to so.
    public var plainHTTP = false
    /// No certificate is checked.
    public var insecure = false
    /// PEM file of authorities besides the system's; `SSL_CERT_FILE` where nothing else is said.
    public var caFile: String?
    public var retry: RetryPolicy
    public var transport = TransportSettings()
    /// Where is kept what later runs can use: uploads that were interrupted, what registries take. Nil for nowhere.
    public var cacheDirectory: String?
    /// Where `HOST:PORT/{ca.crt,client.cert,client.key}` are looked for, first hit wins.
    public var certificateDirectories: [String]

    /// - Parameter environment: `KAPSULE_STALL_TIMEOUT_MS` shortens the patience with stalled transfers, for tests.
    public init(environment: [String: String]) {
        caFile = environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        retry = RetryPolicy(environment: environment)
        if let text = environment["KAPSULE_STALL_TIMEOUT_MS"], let time = Int(text), time > 0 {
            transport.stallTimeout = .milliseconds(time)
        }
        let home = environment["HOME"].map { ["\($0)/.config/containers/certs.d", "\($0)/.docker/certs.d"] } ?? []
        certificateDirectories = home + ["/etc/containers/certs.d", "/etc/docker/certs.d"]
    }
}

/// What a client is going to do; its token is asked for that much at once.
public enum RegistryAccess: Sendable {
    case pull, push

    var actions: [String] {
        switch self {
        case .pull: ["pull"]
        case .push: ["pull", "push"]
        }
    }
}
