internal import KapsuleCore
internal import KapsuleCrypto

/// Reads the three ways in which a JWE is written: flattened, general and compact.
///
/// Source: RFC 7516, 7. The Go library writes a top-level `encrypted_key` beside `recipients`, which is not looked at.
struct JWEReader {
    /// Names the layer in errors.
    let what: String

    func read(_ bytes: [UInt8]) throws -> JWE {
        let text = bytes.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        // A blank inside of a string is none that matters here: every string is in Base64 or a name without blanks.
        return text.first == UInt8(ascii: "{") ? try json(bytes) : try compact(text)
    }

    private func malformed(_ why: String) -> KapsuleError { EncryptionFailure.annotation(what, "its JWE \(why)").error }

    private func compact(_ text: [UInt8]) throws -> JWE {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
        guard parts.count == 5 else { throw malformed("is neither JSON nor compact") }
        let protected = String(decoding: parts[0], as: UTF8.self)
        return try message(
            protected: protected, shared: [try header(protected)],
            wrapped: [([:], try decoded(String(decoding: parts[1], as: UTF8.self), "encrypted_key"))], extra: nil,
            content: try (2..<5).map { try decoded(String(decoding: parts[$0], as: UTF8.self), "content") })
    }

    private func json(_ bytes: [UInt8]) throws -> JWE {
        guard let document = LooseJSON(bytes), document.members != nil else { throw malformed("is no JSON object") }
        let protected = document["protected"]?.text ?? ""
        let shared = [try header(protected), document["unprotected"]?.members ?? [:]]
        let single = document["recipients"] == nil ? [document] : nil
        guard let recipients = single ?? document["recipients"]?.items, !recipients.isEmpty, recipients.count <= 1000
        else { throw malformed("has no recipients") }
        return try message(
            protected: protected, shared: shared,
            wrapped: recipients.map {
                ($0["header"]?.members ?? [:], try decoded($0["encrypted_key"]?.text, "encrypted_key"))
            },
            extra: document["aad"]?.text,
            content: try ["iv", "ciphertext", "tag"].map { try decoded(document[$0]?.text, $0) })
    }

    /// - Parameter content: IV, ciphertext and tag.
    private func message(
        protected: String, shared: [[String: LooseJSON]], wrapped: [(header: [String: LooseJSON], key: [UInt8])],
        extra: String?, content: [[UInt8]]
    ) throws -> JWE {
        let headers = try wrapped.map { try merged(shared + [$0.header]) }
        guard let name = headers[0]["enc"]?.text else { throw malformed("names no content cipher") }
        guard let cipher = JWEContentCipher(rawValue: name), headers.allSatisfy({ $0["enc"]?.text == name }) else {
            throw EncryptionFailure.unsupported(
                what, "has a JWE with the content cipher '\(Printable.text(name.prefix(40)))'"
            ).error
        }
        return JWE(
            recipients: try zip(headers, wrapped).map { try recipient($0, $1.key) }, cipher: cipher,
            authenticated: Array((extra.map { "\(protected).\($0)" } ?? protected).utf8), iv: content[0],
            ciphertext: content[1], tag: content[2])
    }

    private func header(_ protected: String) throws -> [String: LooseJSON] {
        guard !protected.isEmpty else { return [:] }
        guard let bytes = Base64.decode(protected, .url), let members = LooseJSON(bytes)?.members else {
            throw malformed("has a protected header that cannot be read")
        }
        return members
    }

    /// One header out of several, in which no name may come twice.
    private func merged(_ headers: [[String: LooseJSON]]) throws -> [String: LooseJSON] {
        var all: [String: LooseJSON] = [:]
        for (name, value) in headers.joined() {
            guard all.updateValue(value, forKey: name) == nil else {
                throw malformed("has the header '\(Printable.text(name.prefix(40)))' twice")
            }
        }
        // Both would change what the content means.
        for name in ["crit", "zip"] where all[name] != nil {
            throw EncryptionFailure.unsupported(what, "has a JWE with the header '\(name)'").error
        }
        return all
    }

    private func recipient(_ header: [String: LooseJSON], _ key: [UInt8]) throws -> JWE.Recipient {
        guard let algorithm = header["alg"]?.text else { throw malformed("has a recipient without 'alg'") }
        var ephemeral: PublicKey?
        if let json = header["epk"] {
            // A point that is not on its curve is refused here.
            guard case .publicKey(let key)? = JSONWebKey(json)?.content else {
                throw malformed("has an ephemeral key that is none")
            }
            ephemeral = key
        }
        return JWE.Recipient(
            algorithmName: algorithm, keyID: header["kid"]?.text, ephemeral: ephemeral,
            partyU: try header["apu"]?.text.map { try decoded($0, "apu") } ?? [],
            partyV: try header["apv"]?.text.map { try decoded($0, "apv") } ?? [], encryptedKey: key)
    }

    private func decoded(_ text: String?, _ name: String) throws -> [UInt8] {
        guard let text else { throw malformed("has no '\(name)'") }
        guard let bytes = Base64.decode(text, .url) else { throw malformed("has a '\(name)' that is not in Base64") }
        return bytes
    }
}
