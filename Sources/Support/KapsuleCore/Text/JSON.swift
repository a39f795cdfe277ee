/// A JSON document to be written. Members stay in the order they were given, so equal values give equal bytes.
///
/// Reading is Foundation's work (`JSONDecoder`); this type exists because what it writes is hashed, and
/// `JSONEncoder` promises no order that a format could prescribe.
public indirect enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    /// In the shortest form that gives the number again; `null` for what JSON has no number for.
    case double(Double)
    case string(String)
    case array([JSON])
    case object([Member])

    public struct Member: Sendable, Hashable {
        public var name: String
        public var value: JSON
        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// An object in the given order; members whose value is nil are left out.
    public static func members(_ members: KeyValuePairs<String, JSON?>) -> JSON {
        .object(members.compactMap { name, value in value.map { Member(name, $0) } })
    }

    /// An object of strings, ascending by the names' bytes.
    public static func sorted(_ strings: [String: String]) -> JSON {
        let names = strings.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return .object(names.map { Member($0, .string(strings[$0] ?? "")) })
    }

    /// Without a blank between tokens. UTF-8; only what JSON requires is escaped.
    public var compact: String {
        var text = ""
        write(into: &text, indent: nil)
        return text
    }

    /// Two blanks a level, one member a line, no newline at the end.
    public var pretty: String {
        var text = ""
        write(into: &text, indent: 0)
        return text
    }

    private func write(into text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += String(value)
        case .double(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.quote(value, into: &text)
        case .array(let items):
            Self.write(items, "[", "]", into: &text, indent: indent) { item, text, indent in
                item.write(into: &text, indent: indent)
            }
        case .object(let members):
            Self.write(members, "{", "}", into: &text, indent: indent) { member, text, indent in
                Self.quote(member.name, into: &text)
                text += indent == nil ? ":" : ": "
                member.value.write(into: &text, indent: indent)
            }
        }
    }

    private static func write<Item>(
        _ items: [Item], _ open: String, _ close: String, into text: inout String, indent: Int?,
        _ each: (Item, inout String, Int?) -> Void
    ) {
        guard !items.isEmpty else {
            text += open + close
            return
        }
        let inner = indent.map { $0 + 1 }
        text += open
        for (index, item) in items.enumerated() {
            if index > 0 { text += "," }
            if let inner { text += "\n" + String(repeating: "  ", count: inner) }
            each(item, &text, inner)
        }
        if let indent { text += "\n" + String(repeating: "  ", count: indent) }
        text += close
    }

    /// Adds a text in quotes.
    ///
    /// - Parameter escape: what a writer has for a character where that is not what is usual; nil for the others.
    ///
    /// Source: RFC 8259, section 7.
    public static func quote(
        _ value: String, into text: inout String, escape: (Unicode.Scalar) -> String? = { _ in nil }
    ) {
        text += "\""
        for scalar in value.unicodeScalars {
            if let own = escape(scalar) {
                text += own
                continue
            }
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                text += "\\u00" + Hex.encode([UInt8(scalar.value)])
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
}
