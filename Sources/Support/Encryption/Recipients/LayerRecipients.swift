internal import KapsuleCore

/// Who can decrypt a layer, found out without any key.
public struct LayerRecipients: Sendable, Hashable {
    /// For people: `RSA-4096 (RSA-OAEP)`, `ECDH-ES+A256KW EC P-256`, `provider NAME`.
    public let names: [String]

    /// - Parameter annotations: of the layer.
    public init(_ annotations: [String: String], what: String) throws {
        self.init(try LayerAnnotations.entries(annotations, what: what), what: what)
    }

    init(_ entries: [LayerAnnotations.Entry], what: String) {
        names = entries.flatMap { Self.names($0, what: what) }
    }

    private static func names(_ entry: LayerAnnotations.Entry, what: String) -> [String] {
        switch entry.scheme {
        case "jwe":
            return (try? JWEReader(what: what).read(entry.payload))?.recipients.map(\.summary) ?? [
                "a JWE that is damaged"
            ]
        case "pkcs7":
            return (try? PKCS7Message(entry.payload, what: what))?.recipients.map(\.summary)
                ?? ["a PKCS#7 message that is damaged"]
        case "pgp": return ["OpenPGP keys, which kapsule does not use"]
        case "pkcs11": return ["a PKCS#11 token, which kapsule does not use"]
        case VaultEnvelope.scheme:
            return [(try? VaultEnvelope(entry.payload, what: what))?.summary ?? "a Vault envelope that is damaged"]
        default:
            return [
                entry.provider.map { "provider \(Printable.text($0.prefix(60)))" }
                    ?? "unknown: \(entry.scheme.prefix(60))"
            ]
        }
    }
}

extension LayerAnnotations {
    /// The annotations of a layer without one of its recipients; the layer itself stays as it is. Nobody's key is needed,
    /// for what a JWE's tag covers does not include its list of recipients.
    ///
    /// - Parameter number: of the recipient in `LayerRecipients.names`, from 0.
    /// - Throws: `.usage` for the last recipient, and for one that shares a message that cannot be taken apart.
    public static func removing(_ number: Int, from annotations: [String: String], what: String) throws -> [String:
        String]
    {
        let entries = try entries(annotations, what: what)
        let counts = entries.map { LayerRecipients([$0], what: what).names.count }
        guard counts.reduce(0, +) > 1, (0..<counts.reduce(0, +)).contains(number) else {
            throw KapsuleError(
                .usage, id: "recipients.last",
                "\(what) has \(counts.reduce(0, +)) recipients: there is no other one to stay",
                remedy: "add somebody first with 'kapsule recipients add'")
        }
        var index = 0
        var place = number
        while place >= counts[index] {
            place -= counts[index]
            index += 1
        }
        var kept = entries.map { (scheme: $0.scheme, payload: $0.payload) }
        if counts[index] == 1 {
            kept.remove(at: index)
        } else {
            kept[index].payload = try withoutRecipient(place, entries[index], what: what)
        }
        var result = annotations.filter { !$0.key.hasPrefix(keys) }
        for entry in kept { append(entry.payload, scheme: entry.scheme, to: &result) }
        return result
    }

    private static func withoutRecipient(_ place: Int, _ entry: Entry, what: String) throws -> [UInt8] {
        guard entry.scheme == "jwe", var document = LooseJSON(entry.payload)?.members,
            var recipients = document["recipients"]?.items
        else {
            throw KapsuleError(
                .usage, id: "recipients.shared", "\(what) has one \(entry.scheme) message for several recipients",
                remedy: "encrypt the image anew for those who are to stay")
        }
        recipients.remove(at: place)
        document["recipients"] = .array(recipients)
        // Only a general message has a list, and there no key stands at the top.
        document["encrypted_key"] = nil
        return Array(LooseJSON.object(document).json.compact.utf8)
    }
}
