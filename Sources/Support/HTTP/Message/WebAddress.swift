internal import KapsuleCore

/// An absolute `http` or `https` URL, kept as it was written.
///
/// ```
/// https://host:5000/v2/m/blobs/uploads/1?_state=abc
/// scheme  host port target
/// ```
///
/// Its `description` leaves out the query, which may hold a signature; `text` is for the wire. Userinfo is refused and
/// a fragment is dropped, so neither can reach a log.
public struct WebAddress: Sendable, Hashable {
    public enum Scheme: String, Sendable { case http, https }

    public let scheme: Scheme
    /// Lower case; an IPv6 address keeps its brackets.
    public let host: String
    public let port: UInt16
    /// Path and query, beginning with `/`.
    public let target: String

    public init(_ scheme: Scheme, host: String, port: UInt16? = nil, target: String = "/") {
        self.scheme = scheme
        self.host = host.lowercased()
        self.port = port ?? scheme.defaultPort
        self.target = target.hasPrefix("/") ? target : "/" + target
    }

    /// Reads an absolute URL. Nil for other schemes, without a host, with userinfo, blanks or control characters.
    public init?(parsing text: some StringProtocol) {
        guard let separator = text.utf8.firstRange(of: Array("://".utf8)),
            let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased())
        else { return nil }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
        let rest = text[separator.upperBound...].prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard let (host, port) = Self.authority(rest[..<end]) else { return nil }
        self.init(scheme, host: host, port: port, target: String(rest[end...]))
    }

    /// `HOST`, `HOST:PORT`, `[IPv6]:PORT`.
    private static func authority(_ text: some StringProtocol) -> (host: String, port: UInt16?)? {
        guard !text.contains("@"), !text.contains("\\") else { return nil }
        var host = String(text)
        var port: UInt16?
        if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") {
            let digits = host[host.index(after: colon)...]
            if !digits.isEmpty {
                guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits) else {
                    return nil
                }
                port = number
            }
            host = String(host[..<colon])
        }
        guard !host.isEmpty, host.hasPrefix("[") == host.hasSuffix("]"), host.hasPrefix("[") || !host.contains(":")
        else { return nil }
        return (host, port)
    }

    /// What a `Location`, a `Link` or a realm says, seen from here. Nil when it is no web address.
    ///
    /// Source: RFC 3986, section 5.2.
    public func resolving(_ reference: String) -> WebAddress? {
        let text = reference.trimmed
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
        if text.hasPrefix("//") { return WebAddress(parsing: "\(scheme.rawValue):\(text)") }
        if let colon = text.firstIndex(of: ":"), text[..<colon].allSatisfy(Self.isSchemeCharacter),
            colon != text.startIndex
        {
            return WebAddress(parsing: text)
        }
        let bare = String(text.prefix { $0 != "#" })
        switch bare.first {
        case nil: return self
        case "/": return replacingTarget(Self.withoutDots(bare))
        case "?": return replacingTarget(path + bare)
        default:
            let directory = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
            return replacingTarget(Self.withoutDots(directory + bare))
        }
    }

    private static func isSchemeCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "+-.".contains(character))
    }

    /// Source: RFC 3986, section 5.2.4.
    private static func withoutDots(_ target: String) -> String {
        let path = target.prefix { $0 != "?" }
        var parts: [Substring] = []
        let given = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (index, part) in given.enumerated() {
            let isLast = index == given.count - 1
            switch part {
            case ".": if isLast { parts.append("") }
            case "..":
                if !parts.isEmpty { parts.removeLast() }
                if isLast { parts.append("") }
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/") + target[path.endIndex...]
    }

    public func replacingTarget(_ target: String) -> WebAddress {
        WebAddress(scheme, host: host, port: port, target: target)
    }

    /// The same address with another scheme; a default port follows it.
    public func replacingScheme(_ scheme: Scheme) -> WebAddress {
        WebAddress(
            scheme, host: host, port: port == self.scheme.defaultPort ? scheme.defaultPort : port, target: target)
    }

    /// Adds a parameter behind those that are there. The value is percent-encoded.
    public func adding(_ name: String, _ value: String) -> WebAddress {
        let mark = target.contains("?") ? (target.hasSuffix("?") || target.hasSuffix("&") ? "" : "&") : "?"
        return replacingTarget("\(target)\(mark)\(name)=\(PercentEncoding.component(value))")
    }

    /// Without the query.
    public var path: String { String(target.prefix { $0 != "?" }) }

    /// Host, and the port where it is not the scheme's own.
    public var authority: String { port == scheme.defaultPort ? host : "\(host):\(port)" }

    /// For the wire only: the query may hold secrets.
    public var text: String { "\(scheme.rawValue)://\(authority)\(target)" }

    public func hasSameOrigin(as other: WebAddress) -> Bool {
        scheme == other.scheme && host == other.host && port == other.port
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.0/8`, `::1`.
    public var isLoopback: Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

extension WebAddress: CustomStringConvertible {
    public var description: String { "\(scheme.rawValue)://\(authority)\(path)" }
}

extension WebAddress.Scheme {
    var defaultPort: UInt16 { self == .https ? 443 : 80 }
}

/// Source: RFC 3986, section 2.1.
public enum PercentEncoding {
    /// Everything but the unreserved characters is encoded.
    public static func component(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default: encoded += "%" + Hex.encode([byte]).uppercased()
            }
        }
        return encoded
    }
}
