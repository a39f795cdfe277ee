internal import KapsuleCore

/// A JSON document as Go's `encoding/json` writes it, which is how Ollama writes everything whose bytes are hashed.
///
/// Source: Go `encoding/json/encode.go`; observed.
indirect enum GoJSON: Hashable {
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([GoJSON])
    case object([(name: String, value: GoJSON)])

    /// Without a blank between tokens, and with a line end, as `json.Encoder` leaves it.
    var line: [UInt8] {
        var text = ""
        write(into: &text)
        return Array(text.utf8) + [UInt8(ascii: "\n")]
    }

    private func write(into text: inout String) {
        switch self {
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += Self.text(of: value)
        case .string(let value): Self.quote(value, into: &text)
        case .array(let items):
            text += "["
            for (index, item) in items.enumerated() {
                if index > 0 { text += "," }
                item.write(into: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                Self.quote(member.name, into: &text)
                text += ":"
                member.value.write(into: &text)
            }
            text += "}"
        }
    }

    /// The shortest decimal that gives the same number; with an exponent only below 1e-6 and from 1e21 on.
    static func text(of value: Double) -> String {
        let size = abs(value)
        guard size != 0, size < 1e-6 || size >= 1e21 else { return plain(value) }
        // Swift and Go agree on the digits; Go has a sign and two digits of exponent at least, and json takes off the zero.
        let parts = value.description.split(separator: "e")
        guard parts.count == 2, let exponent = Int(parts[1]) else { return value.description }
        let mantissa = parts[0].hasSuffix(".0") ? parts[0].dropLast(2) : parts[0]
        return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(abs(exponent))"
    }

    private static func plain(_ value: Double) -> String {
        let text = value.description
        let parts = text.split(separator: "e")
        guard parts.count == 2, let exponent = Int(parts[1]) else {
            return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
        }
        let isNegative = parts[0].hasPrefix("-")
        let mantissa = parts[0].drop { $0 == "-" }.split(separator: ".")
        let fraction = mantissa.count == 2 && mantissa[1] != "0" ? String(mantissa[1]) : ""
        let digits = mantissa[0] + fraction
        let point = mantissa[0].count + exponent
        let body: String
        if point <= 0 {
            body = "0." + String(repeating: "0", count: -point) + digits
        } else if point >= digits.count {
            body = digits + String(repeating: "0", count: point - digits.count)
        } else {
            body = "\(digits.prefix(point)).\(digits.dropFirst(point))"
        }
        return (isNegative ? "-" : "") + body
    }

    private static func quote(_ value: String, into text: inout String) {
        JSON.quote(value, into: &text) { scalar in
            switch scalar {
            case "\u{8}": "\\b"
            case "\u{C}": "\\f"
            case "<": "\\u003c"
            case ">": "\\u003e"
            case "&": "\\u0026"
            case "\u{2028}": "\\u2028"
            case "\u{2029}": "\\u2029"
            default: nil
            }
        }
    }

    static func == (a: GoJSON, b: GoJSON) -> Bool { a.line == b.line }
    func hash(into hasher: inout Hasher) { hasher.combine(line) }
}
