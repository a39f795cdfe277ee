public struct HTTPResponse: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    /// What answered, after redirects.
    public let url: WebAddress
    /// Empty where the body went into a sink. The body of a refusal is cut after `refusalLimit` bytes.
    public var body: [UInt8] = []
    /// Fields that came behind the body.
    public var trailers = HTTPHeaders()

    /// Longest body of a refusal that is kept, in bytes.
    static let refusalLimit = 64 << 10

    public var isSuccess: Bool { (200..<300).contains(status) }

    /// `Content-Length`, where it is a number.
    public var contentLength: Int64? {
        headers["Content-Length"].flatMap { text in
            text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
        }
    }

    /// `Content-Type` without parameters, lower case.
    public var mediaType: String? {
        headers["Content-Type"].map { String($0.prefix { $0 != ";" }).trimmed.lowercased() }
    }

    /// The body for people: one line, at most `limit` characters, without control characters.
    public func excerpt(limit: Int = 200) -> String { Excerpt.of(body, limit: limit) }
}

/// What servers say, made fit to be shown.
public enum Excerpt {
    /// One line without control characters and runs of blanks; cut with an ellipsis.
    public static func of(_ bytes: [UInt8], limit: Int) -> String {
        of(String(decoding: bytes, as: UTF8.self), limit: limit)
    }

    public static func of(_ text: String, limit: Int) -> String {
        var line = ""
        for scalar in text.unicodeScalars.prefix(limit * 4) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .spaceSeparator:
                if !line.isEmpty, line.last != " " { line.append(" ") }
            default: line.unicodeScalars.append(scalar)
            }
        }
        let trimmed = line.trimmed
        return trimmed.count > limit ? trimmed.prefix(limit) + "…" : trimmed
    }
}

/// `Content-Range: bytes 5-9/10`.
///
/// Source: RFC 9110, section 14.4.
public struct ContentRange: Sendable, Hashable {
    /// Half open, in bytes of the whole.
    public let range: Range<Int64>
    /// Nil where the server does not say.
    public let total: Int64?

    /// Nil for anything else, `bytes */10` included.
    public init?(parsing text: String) {
        let words = text.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bytes" else { return nil }
        let halves = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2 else { return nil }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]), first <= last,
            last < Int64.max
        else { return nil }
        guard halves[1] == "*" || Self.number(halves[1]) != nil else { return nil }
        range = first..<last + 1
        total = Self.number(halves[1])
        if let total, last >= total { return nil }
    }

    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }
}

/// The target of the first `Link` with `rel="next"`, unresolved.
///
/// Source: RFC 8288, section 3.
public enum LinkHeader {
    public static func next(in headers: HTTPHeaders) -> String? {
        for value in headers.all("Link") {
            var rest = value[...]
            while let open = rest.firstIndex(of: "<"), let close = rest[open...].firstIndex(of: ">") {
                let target = rest[rest.index(after: open)..<close]
                rest = rest[rest.index(after: close)...]
                let parameters = rest.prefix { $0 != "<" }.lowercased().filter { $0 != " " && $0 != "\"" }
                if parameters.split(whereSeparator: { $0 == ";" || $0 == "," }).contains("rel=next") {
                    return String(target)
                }
            }
        }
        return nil
    }
}
