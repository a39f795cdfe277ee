public import KapsuleCore

/// An image in a registry: `oci://HOST/REPO[:TAG][@DIGEST]`.
public struct RegistryReference: Sendable, Hashable {
    /// With its port, if one is given.
    public let host: String
    public let repository: String
    public let tag: String?
    public let digest: Digest?

    public var isPinned: Bool { digest != nil }

    /// `HOST/REPO[:TAG][@DIGEST]`, as other tools write it.
    public var text: String {
        "\(host)/\(repository)" + (tag.map { ":" + $0 } ?? "") + (digest.map { "@sha256:" + $0.hex } ?? "")
    }

    /// - Parameters:
    ///   - rest: What follows `oci://`.
    ///   - text: The whole reference, for messages.
    init(parsing rest: String, in text: String) throws(KapsuleError) {
        let slash = rest.firstIndex(of: "/")
        let host = rest[..<(slash ?? rest.endIndex)]
        let suffix = try ImageSuffix(splitting: slash.map { String(rest[rest.index(after: $0)...]) } ?? "", in: text)
        guard !host.isEmpty, !suffix.name.isEmpty else {
            throw SourceReference.malformed(
                text, "names no image", "write oci://HOST/REPO:TAG or oci://HOST/REPO@sha256:…")
        }
        guard Self.isHost(host) else {
            throw SourceReference.malformed(
                text, "has a host that cannot be", "write a host's name with an optional port before the first '/'")
        }
        guard suffix.name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy(Self.isComponent) else {
            let lower = suffix.name.lowercased()
            throw SourceReference.malformed(
                text, "has a repository that registries do not allow",
                lower == suffix.name
                    ? "use lower-case letters, digits and single '.', '_' or '-' between them"
                    : "repositories are lower-case: write oci://\(host)/\(lower)")
        }
        self.host = String(host)
        repository = suffix.name
        tag = suffix.tag
        digest = suffix.digest
    }

    private static func isHost(_ host: Substring) -> Bool {
        host.utf8.allSatisfy { CharacterClass.isNameByte($0) || "-.:[]".utf8.contains($0) }
    }

    /// Source: OCI distribution-spec, "Pulling manifests", `<name>`.
    private static func isComponent(_ part: Substring) -> Bool {
        var separator = ""
        var hasLetter = false
        for byte in part.utf8 {
            if CharacterClass.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) {
                guard ["", ".", "_", "__"].contains(separator) || separator.allSatisfy({ $0 == "-" }) else {
                    return false
                }
                (separator, hasLetter) = ("", true)
            } else {
                guard hasLetter, "._-".utf8.contains(byte) else { return false }
                separator.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        return hasLetter && separator.isEmpty
    }
}

/// An image in OCI layout on disk, in a directory or in one tar file.
public struct LocalImageReference: Sendable, Hashable {
    /// Of the directory or the file; relative to the Modelfile.
    public let path: String
    public let tag: String?
    public let digest: Digest?

    init(parsing rest: String, in text: String, what: String) throws(KapsuleError) {
        let suffix = try ImageSuffix(splitting: rest, in: text)
        guard !suffix.name.isEmpty else {
            let prefix = text.prefix { $0 != ":" }
            throw SourceReference.malformed(text, "names no image", "write \(prefix):\(what) or \(prefix):\(what):TAG")
        }
        path = suffix.name
        tag = suffix.tag
        digest = suffix.digest
    }
}

/// What follows an image's name: `:TAG`, `@DIGEST` or both.
private struct ImageSuffix {
    let name: String
    let tag: String?
    let digest: Digest?

    init(splitting rest: String, in text: String) throws(KapsuleError) {
        var name = rest[...]
        var digest: Digest?
        if let at = name.lastIndex(of: "@") {
            digest = Digest(parsing: name[name.index(after: at)...])
            guard digest != nil else {
                throw SourceReference.malformed(
                    text, "has a digest that is none", "write '@sha256:' and 64 lower-case hex digits")
            }
            name = name[..<at]
        }
        var tag: String?
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") {
            tag = String(name[name.index(after: colon)...])
            name = name[..<colon]
        }
        if let tag, !Self.isTag(tag) {
            throw SourceReference.malformed(
                text, "has a tag that registries do not allow",
                "write 1 to 128 letters, digits, '_', '.' and '-' after ':', the first neither '.' nor '-'")
        }
        self.name = String(name)
        self.tag = tag
        self.digest = digest
    }

    /// Source: OCI distribution-spec, "Pulling manifests", `<reference>`.
    private static func isTag(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && !text.hasPrefix(".") && !text.hasPrefix("-")
            && text.utf8.allSatisfy {
                CharacterClass.isNameByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
            }
    }
}
