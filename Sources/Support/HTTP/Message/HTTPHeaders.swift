/// Header fields in the order they came; names match whatever their case, and a name may come several times.
public struct HTTPHeaders: Sendable, Hashable {
    public struct Field: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    public private(set) var fields: [Field] = []

    public init() {}

    /// The first field of that name. Setting it replaces all of them.
    public subscript(name: String) -> String? {
        get { fields.first { $0.name.isSameFieldName(as: name) }?.value }
        set {
            remove(name)
            if let newValue { add(name, newValue) }
        }
    }

    /// All fields of that name.
    public func all(_ name: String) -> [String] {
        fields.filter { $0.name.isSameFieldName(as: name) }.map(\.value)
    }

    /// Characters that would end the field are dropped, so that a value cannot smuggle in another field.
    public mutating func add(_ name: String, _ value: String) {
        let clean = String(
            String.UnicodeScalarView(value.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }))
        fields.append(Field(name: name, value: clean.trimmed))
    }

    public mutating func remove(_ name: String) {
        fields.removeAll { $0.name.isSameFieldName(as: name) }
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral fields: (String, String)...) {
        for (name, value) in fields { add(name, value) }
    }
}

extension HTTPHeaders {
    /// For logs: what authorises is left out, and so is what may be a signed address.
    var redacted: String {
        let secret = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token"]
        return fields.map { field in
            let name = field.name.lowercased()
            if secret.contains(name) { return "\(field.name): <redacted>" }
            if name == "location" || name == "link" || name == "content-location" {
                return "\(field.name): \(field.value.prefix { $0 != "?" }.droppingUserinfo)"
            }
            return "\(field.name): \(field.value.prefix(200))"
        }.joined(separator: ", ")
    }
}

extension Substring {
    fileprivate var droppingUserinfo: String { contains("@") ? "<redacted>" : String(self) }
}

extension String {
    /// Header names are ASCII.
    fileprivate func isSameFieldName(as other: String) -> Bool {
        utf8.count == other.utf8.count && lowercased() == other.lowercased()
    }

    /// Without blanks, tabs and line ends around it.
    var trimmed: String {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
        guard let first = utf8.firstIndex(where: { !isBlank($0) }), let last = utf8.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(self[first...last])
    }
}
