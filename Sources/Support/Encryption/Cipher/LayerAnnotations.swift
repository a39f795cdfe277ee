internal import KapsuleCore

/// What a manifest says of an encrypted layer: public options, and the key, wrapped for each recipient.
///
/// Source: ocicrypt, `spec/spec.go` and `encryption.go`.
public struct LayerAnnotations: Sendable {
    /// Every key that encryption puts into a descriptor begins so.
    public static let prefix = "org.opencontainers.image.enc"
    static let publicOptions = "\(prefix).pubopts"
    static let keys = "\(prefix).keys."
    /// Longest annotation that is looked at, in bytes: registries refuse manifests of more than 4 MiB.
    private static let longest = 4 << 20

    /// One way of unwrapping.
    public struct Entry: Sendable, Hashable {
        /// What follows `…enc.keys.`: `jwe`, `pkcs7`, `provider.NAME`.
        public let scheme: String
        let payload: [UInt8]

        /// The provider that can unwrap it.
        var provider: String? { scheme.hasPrefix("provider.") ? String(scheme.dropFirst("provider.".count)) : nil }
    }

    public let options: PublicOptions
    /// `jwe` first, then the other schemes by name; within one, in the order of the annotation.
    public let entries: [Entry]

    /// - Parameters:
    ///   - annotations: all of a layer's; what is not about encryption is not looked at.
    ///   - what: names the layer in errors.
    public init(_ annotations: [String: String], what: String) throws {
        guard let text = annotations[Self.publicOptions] else {
            throw EncryptionFailure.annotation(what, "it has no public options").error
        }
        guard text.utf8.count <= Self.longest, let json = Base64.decode(text) else {
            throw EncryptionFailure.annotation(what, "its public options are not in Base64").error
        }
        options = try PublicOptions(json: json, what: what)
        entries = try Self.entries(annotations, what: what)
        guard !entries.isEmpty else { throw EncryptionFailure.annotation(what, "it is wrapped for nobody").error }
    }

    /// The wrapped keys alone: who can decrypt, without looking at anything else.
    public static func entries(_ annotations: [String: String], what: String) throws -> [Entry] {
        let names = annotations.keys.filter { $0.hasPrefix(keys) }.sorted { a, b in
            let (first, second) = (a == "\(keys)jwe", b == "\(keys)jwe")
            return first == second ? a < b : first
        }
        return try names.flatMap { name -> [Entry] in
            let scheme = String(name.dropFirst(keys.count))
            let value = annotations[name] ?? ""
            guard value.utf8.count <= longest else {
                throw EncryptionFailure.annotation(what, "its annotation for \(scheme) is too long").error
            }
            // One more for every time somebody was added.
            return try value.split(separator: ",", omittingEmptySubsequences: false).map { part in
                guard let payload = Base64.decode(part), !payload.isEmpty else {
                    throw EncryptionFailure.annotation(
                        what, "its annotation for \(Printable.text(scheme.prefix(60))) is not in Base64"
                    ).error
                }
                return Entry(scheme: scheme, payload: payload)
            }
        }
    }

    /// As annotations of a descriptor.
    static func encoded(_ options: PublicOptions, _ wrapped: [(scheme: String, payload: [UInt8])]) -> [String: String] {
        var annotations = [publicOptions: Base64.encode(options.json)]
        for (scheme, payload) in wrapped { append(payload, scheme: scheme, to: &annotations) }
        return annotations
    }

    static func append(_ payload: [UInt8], scheme: String, to annotations: inout [String: String]) {
        let old = annotations[keys + scheme].map { $0 + "," } ?? ""
        annotations[keys + scheme] = old + Base64.encode(payload)
    }

    /// What is left of a layer's annotations when it is decrypted.
    public static func removed(from annotations: [String: String]) -> [String: String] {
        annotations.filter { !$0.key.hasPrefix(prefix) }
    }
}

/// The suffixes of media types.
public enum EncryptedType {
    static let suffix = "+encrypted"
    /// What kapsule wrote in 2024, and nobody else.
    static let oldSuffix = "+enc"

    public static func of(_ plain: String) -> String { plain + suffix }

    /// The type of what is inside; nil for what is not encrypted.
    public static func plain(_ type: String) -> String? {
        if type.hasSuffix(suffix) { return String(type.dropLast(suffix.count)) }
        return type.hasSuffix(oldSuffix) ? String(type.dropLast(oldSuffix.count)) : nil
    }
}
