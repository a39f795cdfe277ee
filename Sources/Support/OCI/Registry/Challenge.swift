internal import HTTP

/// What a `WWW-Authenticate` header asks for.
///
/// ```
/// Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push", Basic realm="r"
/// ```
///
/// Source: RFC 9110, section 11.6.1; Docker, "Token Authentication Specification".
struct Challenge: Sendable, Hashable {
    /// Lower case.
    let scheme: String
    /// Names in lower case.
    let parameters: [String: String]

    var realm: String { parameters["realm"] ?? "" }
    var service: String? { parameters["service"] }
    var isBearer: Bool { scheme == "bearer" }
    var isBasic: Bool { scheme == "basic" }
    /// One for each resource; the grammar separates them by blanks.
    var scopes: [Scope] { (parameters["scope"] ?? "").split(separator: " ").compactMap { Scope(parsing: $0) } }

    /// All challenges of an answer, in order. What cannot be read is skipped.
    static func all(in headers: HTTPHeaders) -> [Challenge] {
        headers.all("WWW-Authenticate").flatMap { ChallengeParser($0).parse() }
    }
}

/// Several challenges in one value: a word that is followed by `=` is a parameter, any other begins a challenge.
private struct ChallengeParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    func parse() -> [Challenge] {
        var parser = self
        return parser.parseAll()
    }

    private mutating func parseAll() -> [Challenge] {
        var found: [(scheme: String, parameters: [String: String])] = []
        while position < bytes.count {
            skip { $0 == UInt8(ascii: ",") || Self.isBlank($0) }
            let word = token()
            guard !word.isEmpty else {
                position += 1
                continue
            }
            let end = position
            skip(Self.isBlank)
            if current == UInt8(ascii: "="), !found.isEmpty, !isPadding {
                position += 1
                skip(Self.isBlank)
                let value = current == UInt8(ascii: "\"") ? quoted() : token()
                found[found.count - 1].parameters[word.lowercased()] = value
            } else {
                position = end
                found.append((word.lowercased(), [:]))
                skipToken68()
            }
        }
        return found.map { Challenge(scheme: $0.scheme, parameters: $0.parameters) }
    }

    /// `Negotiate YII=`: what follows a scheme without being a parameter.
    private mutating func skipToken68() {
        let start = position
        skip(Self.isBlank)
        guard position > start else { return }
        let word = token()
        let isToken68 = !word.isEmpty && (current == nil || current == UInt8(ascii: ",") || isPadding)
        if isToken68 { skip { $0 == UInt8(ascii: "=") } } else { position = start }
    }

    /// `=` that ends a base64 word rather than beginning a value.
    private var isPadding: Bool {
        guard current == UInt8(ascii: "=") else { return false }
        let next = position + 1 < bytes.count ? bytes[position + 1] : UInt8(ascii: ",")
        return next == UInt8(ascii: "=") || next == UInt8(ascii: ",")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private mutating func skip(_ matches: (UInt8) -> Bool) {
        while let byte = current, matches(byte) { position += 1 }
    }

    /// Up to a separator. More is let through than RFC 9110 has in a token: servers forget quotes around URLs.
    private mutating func token() -> String {
        let start = position
        skip { !Self.isBlank($0) && !"=,\"".utf8.contains($0) }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func quoted() -> String {
        var value: [UInt8] = []
        position += 1
        while let byte = current, byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\"), position + 1 < bytes.count { position += 1 }
            value.append(bytes[position])
            position += 1
        }
        position += 1
        return String(decoding: value, as: UTF8.self)
    }
}

/// `repository:acme/m:pull,push`: what a token is for.
///
/// Source: Docker, "Token Scope Documentation". Names may hold colons, as in `host:port/name`.
struct Scope: Sendable, Hashable, Comparable, CustomStringConvertible {
    let type: String
    let name: String
    /// Ascending.
    let actions: [String]

    init(type: String, name: String, actions: [String]) {
        self.type = type
        self.name = name
        self.actions = Set(actions).sorted()
    }

    init(repository: String, _ access: RegistryAccess) {
        self.init(type: "repository", name: repository, actions: access.actions)
    }

    init?(parsing text: some StringProtocol) {
        guard let first = text.firstIndex(of: ":"), let last = text.lastIndex(of: ":"), first != last else {
            return nil
        }
        self.init(
            type: String(text[..<first]), name: String(text[text.index(after: first)..<last]),
            actions: String(text[text.index(after: last)...]).split(separator: ",").map { String($0) })
    }

    var description: String { "\(type):\(name):\(actions.joined(separator: ","))" }

    static func < (a: Scope, b: Scope) -> Bool { a.description < b.description }

    /// Each resource once, with the actions of all; ascending.
    static func merged(_ scopes: [Scope]) -> [Scope] {
        Dictionary(grouping: scopes) { "\($0.type):\($0.name)" }.values
            .map { Scope(type: $0[0].type, name: $0[0].name, actions: $0.flatMap(\.actions)) }.sorted()
    }
}
