internal import FoundationEssentials
public import KapsuleCore

extension JSON {
    /// Reads a document whose members are not all known. Members come out ascending by name.
    ///
    /// - Throws: `.unverified` for what is no JSON, and for numbers that are not whole.
    public static func decode(_ bytes: [UInt8], what: String) throws -> JSON {
        try OCI.decode(Wire.self, from: bytes, what: what).json
    }

    /// The member of an object; nil for anything else.
    public subscript(_ name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// The object with a member replaced, or added at the end.
    public func setting(_ name: String, _ value: JSON?) -> JSON {
        guard case .object(var members) = self, let value else { return self }
        if let index = members.firstIndex(where: { $0.name == name }) {
            members[index].value = value
        } else {
            members.append(Member(name, value))
        }
        return .object(members)
    }

    private struct Wire: Decodable {
        let json: JSON

        init(from decoder: any Decoder) throws {
            if let object = try? decoder.container(keyedBy: Name.self) {
                let names = object.allKeys.sorted { $0.stringValue.utf8.lexicographicallyPrecedes($1.stringValue.utf8) }
                json = .object(
                    try names.map { Member($0.stringValue, try object.decode(Wire.self, forKey: $0).json) })
            } else if var array = try? decoder.unkeyedContainer() {
                var items: [JSON] = []
                while !array.isAtEnd { items.append(try array.decode(Wire.self).json) }
                json = .array(items)
            } else {
                json = try Self.scalar(decoder.singleValueContainer())
            }
        }

        private static func scalar(_ container: any SingleValueDecodingContainer) throws -> JSON {
            if container.decodeNil() { return .null }
            if let value = try? container.decode(Bool.self) { return .bool(value) }
            if let value = try? container.decode(Int64.self) { return .int(value) }
            return .string(try container.decode(String.self))
        }
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }
}

extension JSON {
    /// An image's config with more layers on top. Every other member stays as it is.
    ///
    /// - Parameter upper: its diff IDs and history come after the base's; its labels win.
    public func extended(by upper: ImageConfig) -> JSON {
        let settings = self["config"] ?? .object([])
        var labels = settings["Labels"] ?? .object([])
        if case .null = labels { labels = .object([]) }
        for name in upper.labels.keys.sorted() { labels = labels.setting(name, .string(upper.labels[name] ?? "")) }
        let root = self["rootfs"] ?? .object([])
        return
            self
            .setting("architecture", .string(upper.platform.architecture)).setting("os", .string(upper.platform.os))
            .setting("created", upper.created.map(JSON.string))
            .setting("config", settings.setting("Labels", labels))
            .setting("rootfs", root.setting("diff_ids", joined(root["diff_ids"], upper.json["rootfs"]?["diff_ids"])))
            .setting("history", joined(self["history"], upper.json["history"]))
    }

    private func joined(_ lower: JSON?, _ upper: JSON?) -> JSON {
        guard case .array(let top)? = upper else { return lower ?? .array([]) }
        guard case .array(let bottom)? = lower else { return .array(top) }
        return .array(bottom + top)
    }
}
