internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO

/// A `config.json` of Docker's or an `auth.json` of podman's.
///
/// ```
/// {"auths": {"ghcr.io": {"auth": "base64(user:password)"}}, "credHelpers": {"ghcr.io": "pass"}, "credsStore": "pass"}
/// ```
///
/// Source: docker/cli `cli/config/configfile`; containers-auth.json(5).
struct AuthFile {
    /// Longest file that is read, in bytes.
    private static let limit: Int64 = 16 << 20

    let path: String
    /// `~/.dockercfg`: the map without `auths` around it.
    let isLegacy: Bool
    private var document: JSONValue

    /// Nil when there is no such file.
    static func reading(_ path: String, isLegacy: Bool = false) throws -> AuthFile? {
        guard try FileStatus.of(path, followsLinks: true) != nil else { return nil }
        let bytes = try FileSource(path: path).readAll(limit: limit, what: path)
        if bytes.isEmpty { return AuthFile(path: path, isLegacy: isLegacy, document: .object([:])) }
        guard let document = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)), case .object = document
        else {
            throw KapsuleError(
                .usage, id: "credentials.malformed", "\(path) is not a JSON object",
                remedy: "mend it or move it away, then log in again")
        }
        return AuthFile(path: path, isLegacy: isLegacy, document: document)
    }

    private init(path: String, isLegacy: Bool, document: JSONValue) {
        self.path = path
        self.isLegacy = isLegacy
        self.document = document
    }

    /// One to be written.
    init(new path: String) { self.init(path: path, isLegacy: false, document: .object([:])) }

    // MARK: Reading

    private var auths: [String: JSONValue] { isLegacy ? document.members : document["auths"]?.members ?? [:] }

    /// The helper program that keeps the credentials of a host; without `docker-credential-`.
    func helper(for host: String) -> String? {
        let helpers = document["credHelpers"]?.members ?? [:]
        return RegistryKey.aliases(of: host).lazy.compactMap { helpers[$0]?.text }.first { !$0.isEmpty }
    }

    var store: String? { document["credsStore"]?.text.flatMap { $0.isEmpty ? nil : $0 } }

    /// The entry that fits best: the longest prefix of `host/repository`, then keys written as addresses.
    func credential(for host: String, repository: String) -> Credential? {
        for key in RegistryKey.candidates(host: host, repository: repository) {
            if let credential = auths[key].flatMap(Self.credential) { return credential }
        }
        let hosts = RegistryKey.aliases(of: host)
        return auths.keys.sorted().lazy.filter { hosts.contains(RegistryKey.host(of: $0)) && RegistryKey.isAddress($0) }
            .compactMap { auths[$0].flatMap(Self.credential) }.first
    }

    private static func credential(_ entry: JSONValue) -> Credential? {
        let pair = entry["auth"]?.text.flatMap(decode)
        let user = pair?.user ?? entry["username"]?.text
        if let token = entry["identitytoken"]?.text, !token.isEmpty {
            return .identityToken(token, user: user == "<token>" || user == "" ? nil : user)
        }
        guard let user, let password = pair?.password ?? entry["password"]?.text, !(user.isEmpty && password.isEmpty)
        else { return nil }
        return .password(user: user, password: password)
    }

    /// base64(`user:password`), split at the first colon. Old versions of Docker padded with NUL.
    private static func decode(_ text: String) -> (user: String, password: String)? {
        guard !text.isEmpty, let data = Data(base64Encoded: text) else { return nil }
        let pair = String(decoding: data.prefix { $0 != 0 }, as: UTF8.self)
        guard let colon = pair.firstIndex(of: ":") else { return nil }
        return (String(pair[..<colon]), String(pair[pair.index(after: colon)...]))
    }

    // MARK: Writing

    /// Whether a host, written in any way, has an entry of its own.
    func mentions(_ host: String) -> Bool { !keys(of: host).isEmpty || helper(for: host) != nil }

    /// Keys that mean the whole of a host, not a part of it.
    private func keys(of host: String) -> [String] {
        let hosts = RegistryKey.aliases(of: host)
        return auths.keys.filter {
            hosts.contains($0) || (RegistryKey.isAddress($0) && hosts.contains(RegistryKey.host(of: $0)))
        }
    }

    /// - Parameter credential: nil where a helper program keeps it, and only a mark is left.
    mutating func set(_ host: String, user: String, password: String?) {
        for key in keys(of: host) { setEntry(key, nil) }
        let auth = password.map { Data("\(user):\($0)".utf8).base64EncodedString() }
        setEntry(RegistryKey.written(host), .object(auth.map { ["auth": .string($0)] } ?? [:]))
    }

    /// Whether there was something to remove.
    mutating func remove(_ host: String) -> Bool {
        let found = keys(of: host)
        for key in found { setEntry(key, nil) }
        return !found.isEmpty
    }

    private mutating func setEntry(_ key: String, _ entry: JSONValue?) {
        if isLegacy {
            document[key] = entry
        } else {
            var auths = document["auths"] ?? .object([:])
            auths[key] = entry
            document["auths"] = auths
        }
    }

    /// Replaces the file in one act, readable by its owner only. Members that are not ours stay.
    func write() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(document)) + [UInt8(ascii: "\n")]
        // A link, as dotfile managers make them, stays one.
        let target = Directories.realPath(path) ?? path
        if let slash = target.lastIndex(of: "/"), slash != target.startIndex {
            try Directories.make(String(target[..<slash]), mode: 0o700)
        }
        try AtomicFile.write(bytes, to: target, mode: 0o600, existing: .replace)
    }
}

/// How auth files name a registry.
enum RegistryKey {
    private static let dockerHub = ["docker.io", "index.docker.io", "registry-1.docker.io"]

    /// All names of one host.
    static func aliases(of host: String) -> [String] {
        dockerHub.contains(host) ? dockerHub + ["https://index.docker.io/v1/"] : [host]
    }

    /// `host/a/b`, `host/a`, `host`, and the same for the other names of the host.
    static func candidates(host: String, repository: String) -> [String] {
        var parts = repository.split(separator: "/")
        var paths: [String] = []
        while !parts.isEmpty {
            paths.append("/" + parts.joined(separator: "/"))
            parts.removeLast()
        }
        return (paths + [""]).flatMap { path in aliases(of: host).map { $0 + path } }
    }

    /// `https://host:port/v1/` → `host:port`.
    static func host(of key: String) -> String {
        var rest = key[...]
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        return String(rest.prefix { $0 != "/" })
    }

    /// Whether a key is written as old versions of Docker did, and means the whole host whatever its path.
    static func isAddress(_ key: String) -> Bool { key.hasPrefix("https://") || key.hasPrefix("http://") }

    /// As Docker writes it.
    static func written(_ host: String) -> String {
        dockerHub.contains(host) ? "https://index.docker.io/v1/" : host
    }
}
