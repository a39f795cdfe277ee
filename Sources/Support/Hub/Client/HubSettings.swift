public import HTTP
internal import KapsuleCore
internal import KapsuleIO

/// What the environment says of the hub, as `huggingface_hub` understands it.
///
/// Source: huggingface_hub 2.4, `constants.py` and `utils/_auth.py`.
public struct HubSettings: Sendable {
    /// A token, and where it was found, for messages.
    public struct Token: Sendable {
        let value: String
        public let origin: String
    }

    /// Without a slash at its end; it may have a path.
    public let endpoint: WebAddress
    public let token: Token?
    /// Whether the cache is the only source.
    public let isOffline: Bool
    /// The cache of `huggingface_hub`, which need not exist; nil without a home directory.
    public let cache: String?
    public var transport: TransportSettings
    public var retry: RetryPolicy

    /// - Throws: `.usage` for an `HF_ENDPOINT` that is no web address, and a token file that cannot be read.
    public init(environment: [String: String], transport: TransportSettings) throws {
        func value(_ name: String) -> String? {
            environment[name].map(Self.trimmed).flatMap { $0.isEmpty ? nil : $0 }
        }
        func path(_ name: String) -> String? { value(name).map { Self.expanded($0, environment) } }
        endpoint = try Self.endpoint(value("HF_ENDPOINT"))
        isOffline = Self.isTrue(value("HF_HUB_OFFLINE")) || Self.isTrue(value("TRANSFORMERS_OFFLINE"))
        let caches = path("XDG_CACHE_HOME") ?? value("HOME").map { "\($0)/.cache" }
        let home = path("HF_HOME") ?? caches.map { "\($0)/huggingface" }
        cache = path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? home.map { "\($0)/hub" }
        token =
            try Self.isTrue(value("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
            ? nil : Self.token(value, file: path("HF_TOKEN_PATH") ?? home.map { "\($0)/token" })
        self.transport = transport
        self.transport.connectTimeout = .seconds(10)
        self.transport.stallTimeout = value("HF_HUB_DOWNLOAD_TIMEOUT").flatMap(Self.seconds) ?? .seconds(30)
        retry = RetryPolicy(environment: environment)
        // The hub counts requests in windows of five minutes, and says when the next one begins.
        if environment["KAPSULE_RETRY_DELAY_MS"] == nil { retry.longestDelay = .seconds(310) }
    }

    /// The endpoint as text, without a slash at its end.
    var base: String { endpoint.path == "/" ? String(endpoint.text.dropLast()) : endpoint.text }

    /// The page of a repository at a commit.
    public func page(of repository: String, at commit: String) -> String {
        "\(HubAddress(endpoint: endpoint, repository: repository).page)/tree/\(commit)"
    }

    private static func endpoint(_ text: String?) throws -> WebAddress {
        var text = text ?? "https://huggingface.co"
        while text.hasSuffix("/") { text.removeLast() }
        guard let address = WebAddress(parsing: text), !address.target.contains("?") else {
            throw KapsuleError(
                .usage, id: "hub.endpoint", "HF_ENDPOINT is \(Quoted.text(text, limit: 100)), which is no web address",
                remedy: "set it to one such as https://huggingface.co, without a user name or a query, or unset it")
        }
        return address
    }

    private static func token(_ value: (String) -> String?, file: String?) throws -> Token? {
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let token = value(name) { return Token(value: token, origin: name) }
        }
        guard let file, try FileStatus.of(file, followsLinks: true)?.kind == .regular else { return nil }
        let bytes = try FileSource(path: file).readAll(limit: 64 << 10, what: "the token in \(file)")
        let text = trimmed(String(decoding: bytes, as: UTF8.self))
        return text.isEmpty ? nil : Token(value: text, origin: file)
    }

    private static func isTrue(_ text: String?) -> Bool {
        ["1", "ON", "YES", "TRUE"].contains(text?.uppercased() ?? "")
    }

    private static func seconds(_ text: String) -> Duration? {
        guard let seconds = Double(text), seconds > 0, seconds < 86_400 else { return nil }
        return .milliseconds(Int(seconds * 1000))
    }

    /// `~` and `$NAME` at the beginning of a path.
    static func expanded(_ path: String, _ environment: [String: String]) -> String {
        if path == "~" || path.hasPrefix("~/") { return (environment["HOME"] ?? "~") + path.dropFirst() }
        guard path.hasPrefix("$") else { return path }
        let name = path.dropFirst().prefix { $0 != "/" }
        let bare = name.hasPrefix("{") && name.hasSuffix("}") ? name.dropFirst().dropLast() : name
        return environment[String(bare)].map { $0 + path.dropFirst(1 + name.count) } ?? path
    }

    private static func trimmed(_ text: String) -> String {
        func isBlank(_ character: Character) -> Bool { character.isWhitespace }
        guard let first = text.firstIndex(where: { !isBlank($0) }), let last = text.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(text[first...last])
    }
}
