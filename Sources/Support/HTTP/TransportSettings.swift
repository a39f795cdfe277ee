public import Logging

/// How connections are made. Equal for every request of a transport.
public struct TransportSettings: Sendable {
    /// Until a connection stands, TLS included.
    public var connectTimeout = Duration.seconds(30)
    /// How long not a byte may move, in either direction, before a request is given up.
    public var stallTimeout = Duration.seconds(60)
    public var userAgent = "kapsule"
    public var tls = TLSSettings()
    /// Hears of every request and answer at level debug, without what authorises them.
    public var logger = Logger(label: "kapsule.http", factory: { _ in SwiftLogNoOpLogHandler() })

    public init() {}
}

/// Whom to trust, and who we are.
public struct TLSSettings: Sendable, Hashable {
    /// PEM file of authorities besides the system's.
    public var caFile: String?
    /// PEM files; both or neither.
    public var clientCertificate: String?
    public var clientKey: String?
    /// Whether the server must prove its name. Only `--insecure` turns it off.
    public var verifiesServer = true

    public init() {}
}
