internal import FoundationEssentials
internal import KapsuleCore

/// JSON of somebody else's, of which a few members matter.
enum LooseJSON: Decodable {
    case object([String: LooseJSON])
    case array([LooseJSON])
    case string(String)
    case int(Int64)
    /// null, and numbers and truths that nothing here asks for.
    case other

    /// Nil for what is no JSON.
    init?(_ bytes: [UInt8]) {
        guard let value = try? JSONDecoder().decode(LooseJSON.self, from: Data(bytes)) else { return nil }
        self = value
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode([String: LooseJSON].self) {
            self = .object(value)
        } else if let value = try? container.decode([LooseJSON].self) {
            self = .array(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .int(value)
        } else {
            self = .other
        }
    }

    /// The member of an object; nil for anything else, and for null.
    subscript(name: String) -> LooseJSON? {
        guard case .object(let members) = self, let value = members[name] else { return nil }
        if case .other = value { return nil }
        return value
    }

    var text: String? { if case .string(let value) = self { value } else { nil } }
    var number: Int64? { if case .int(let value) = self { value } else { nil } }
    var items: [LooseJSON]? { if case .array(let value) = self { value } else { nil } }
    var members: [String: LooseJSON]? { if case .object(let value) = self { value } else { nil } }
}

extension LooseJSON {
    /// As a document to be written; members ascend by name.
    var json: JSON {
        switch self {
        case .object(let members):
            .object(members.keys.sorted().map { JSON.Member($0, members[$0]?.json ?? .null) })
        case .array(let items): .array(items.map(\.json))
        case .string(let text): .string(text)
        case .int(let number): .int(number)
        case .other: .null
        }
    }
}
