public import KapsuleCore

/// The name of an image: `ghcr.io/acme/mistral:7b`, `mistral:7b`, `localhost:5000/m@sha256:…`.
///
/// Source: distribution/reference, and OCI distribution-spec 1.1, "Pulling manifests".
public struct Reference: Sendable, Hashable, CustomStringConvertible {
    /// Host and port of a registry; nil for a name of the local store.
    public let host: String?
    /// `acme/mistral`.
    public let repository: String
    /// Nil where only a digest was given. A digest beats a tag.
    public let tag: String?
    public let digest: Digest?

    public init(host: String?, repository: String, tag: String?, digest: Digest? = nil) {
        self.host = host
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// Reads `[HOST[:PORT]/]PATH[:TAG][@sha256:…]`. Without tag and digest the tag is `latest`.
    ///
    /// The first part is a host when it contains `.` or `:` or is `localhost`, or begins with `[`.
    ///
    /// - Throws: `.usage`, saying which part is wrong.
    public init(parsing text: String) throws {
        var rest = Substring(text)
        var digest: Digest?
        if let at = rest.lastIndex(of: "@") {
            guard let parsed = Digest(parsing: rest[rest.index(after: at)...]) else {
                throw Self.problem(
                    text, "'\(rest[rest.index(after: at)...])' is not a digest",
                    "write sha256: and 64 lower-case hex digits after the @")
            }
            digest = parsed
            rest = rest[..<at]
        }
        var tag: String?
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/"), !rest[colon...].contains("]") {
            tag = String(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        }
        var host: String?
        if let slash = rest.firstIndex(of: "/") {
            let first = rest[..<slash]
            if first.contains(".") || first.contains(":") || first == "localhost" || first.hasPrefix("[") {
                host = String(first)
                rest = rest[rest.index(after: slash)...]
            }
        }
        if let host, !Self.isHost(host) {
            throw Self.problem(text, "'\(host)' is not a host", "write HOST or HOST:PORT before the first slash")
        }
        guard Self.isRepository(rest) else {
            let lower = String(rest).lowercased()
            throw Self.problem(
                text, rest.isEmpty ? "the name is empty" : "'\(rest)' is not a repository name",
                Self.isRepository(Substring(lower))
                    ? "write it in lower case: \(lower)"
                    : "use lower-case letters, digits, and single . _ - or / between them")
        }
        if let tag, !Self.isTag(tag) {
            throw Self.problem(
                text, "'\(tag)' is not a tag",
                "use up to 128 letters, digits, _ . and -, not beginning with . or -")
        }
        self.init(
            host: host, repository: String(rest), tag: tag ?? (digest == nil ? "latest" : nil), digest: digest)
    }

    public var description: String {
        (host.map { "\($0)/" } ?? "") + repository + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    /// Without tag and digest.
    public var name: String { (host.map { "\($0)/" } ?? "") + repository }

    /// The same repository, pinned.
    public func pinned(to digest: Digest) -> Reference {
        Reference(host: host, repository: repository, tag: nil, digest: digest)
    }

    private static func problem(_ text: String, _ reason: String, _ remedy: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "reference.malformed", "'\(text)' is not an image reference: \(reason)", remedy: remedy)
    }

    /// Source: distribution-spec 1.1: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*`, at most 255 bytes.
    static func isRepository(_ text: Substring) -> Bool {
        guard (1...255).contains(text.utf8.count) else { return false }
        return text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            guard let first = part.first, let last = part.last, isAlphanumeric(first), isAlphanumeric(last) else {
                return false
            }
            return part.split(whereSeparator: { !isAlphanumeric($0) }).count > 0
                && separators(in: Array(part)).allSatisfy {
                    [".", "_", "__"].contains($0) || $0.utf8.allSatisfy { $0 == UInt8(ascii: "-") }
                }
        }
    }

    private static func separators(in part: [UInt8]) -> [String] {
        part.split(whereSeparator: isAlphanumeric).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Source: distribution-spec 1.1: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    static func isTag(_ text: String) -> Bool {
        func isWord(_ byte: UInt8) -> Bool {
            isAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || byte == UInt8(ascii: "_")
        }
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= 128, isWord(first) else { return false }
        return bytes.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    /// A DNS name, an IPv4 address or `[IPv6]`, with an optional port.
    static func isHost(_ text: String) -> Bool {
        var name = Substring(text)
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("]") {
            let port = name[name.index(after: colon)...]
            guard let number = UInt16(port), number > 0, !port.hasPrefix("+") else { return false }
            name = name[..<colon]
        }
        if name.hasPrefix("["), name.hasSuffix("]") {
            return name.dropFirst().dropLast().utf8.allSatisfy {
                ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x66) || (0x30...0x39).contains($0) || $0 == 0x3a || $0 == 0x2e
            } && name.count > 3
        }
        return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.utf8.first != UInt8(ascii: "-") && label.utf8.last != UInt8(ascii: "-")
                && label.utf8.allSatisfy {
                    (0x61...0x7a).contains($0 | 0x20) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
                        || $0 == UInt8(ascii: "_")
                }
        }
    }
}
