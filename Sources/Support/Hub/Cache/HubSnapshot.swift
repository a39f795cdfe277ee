internal import HTTP
public import KapsuleCore
internal import KapsuleIO

/// What the path of a directory says, where it is one commit in a cache of `huggingface_hub`.
public struct HubSnapshot: Sendable {
    /// `ORG/NAME`.
    public let repository: String
    /// 40 hex digits.
    public let commit: String
    private let directory: String

    /// - Parameter directory: absolute, links resolved. Nil unless it ends in `models--ORG--NAME/snapshots/COMMIT`.
    public init?(directory: String) {
        let parts = directory.split(separator: "/").suffix(3).map(String.init)
        guard parts.count == 3, parts[0].hasPrefix("models--"), parts[1] == "snapshots", GitName.isValid(parts[2])
        else {
            return nil
        }
        // Names hold no '--'.
        repository = Self.joined(parts[0].dropFirst("models--".count))
        guard !repository.isEmpty, repository.utf8.allSatisfy(Self.isNameByte) else { return nil }
        commit = parts[2]
        self.directory = directory
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        let letter = byte | 0x20
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_./".utf8.contains(byte)
    }

    /// `ORG--NAME` as `ORG/NAME`.
    private static func joined(_ folder: Substring) -> String {
        for index in folder.indices.dropLast() where folder[index] == "-" && folder[folder.index(after: index)] == "-" {
            return folder[..<index] + "/" + folder[folder.index(index, offsetBy: 2)...]
        }
        return String(folder)
    }

    /// As an image names licences: what the card of the model says, from which the hub has it, too.
    public func licenses() -> String? {
        guard let source = try? FileSource(path: "\(directory)/README.md") else { return nil }
        return HubLicenses.text(ofCard: source)
    }
}

/// Licences as an image names them.
public enum HubLicenses {
    /// - Parameter card: `README.md`, whose beginning is looked at. Nil where it names none.
    public static func text(ofCard card: any ByteSource) -> String? {
        var sink = MemorySink()
        guard (try? card.read(0..<min(card.size, 64 << 10), into: &sink)) != nil,
            let front = FrontMatter(String(decoding: sink.bytes, as: UTF8.self))
        else { return nil }
        return text(front.values(of: "license"), named: front.values(of: "license_name").first)
    }

    /// The hub's own words for licences are SPDX identifiers in lower case, as far as there are any.
    ///
    /// - Parameter name: what `other` is called.
    static func text(_ licenses: [String], named name: String?) -> String? {
        let names = licenses.map { $0 == "other" ? name ?? $0 : $0 }
        let text = names.map { Excerpt.of($0, limit: 100) }.filter { !$0.isEmpty }.prefix(10).joined(separator: " AND ")
        return text.isEmpty ? nil : text
    }
}
