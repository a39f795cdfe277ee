internal import KapsuleCore
internal import KapsuleCrypto

/// Somebody who is to be able to decrypt.
public struct Recipient: Sendable {
    enum Kind: Sendable {
        case jwe(JWEWriter.Recipient)
        case pkcs7(Certificate)
        case provider(KeyProvider, parameter: String)
        case vault(VaultTransit)
    }

    let kind: Kind
    /// As the person running kapsule wrote it.
    public let name: String
}

extension Recipient {
    /// Who `--encryption-key` and ENCRYPT mean.
    public enum Reference: Sendable {
        /// A public key or a certificate; which of the two its content tells.
        case file(String)
        case jwe(String)
        case pkcs7(String)
        case provider(name: String, parameter: String?)
    }

    /// Reads `[jwe:|pkcs7:|provider:]X`; a path alone is a file.
    public static func reference(_ text: String) throws -> Reference {
        func rest(_ prefix: String) -> String? { text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil }
        if let path = rest("jwe:") { return .jwe(path) }
        if let path = rest("pkcs7:") { return .pkcs7(path) }
        if let provider = rest("provider:") {
            let parts = provider.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return .provider(name: parts[0], parameter: parts.count > 1 ? parts[1] : nil)
        }
        for kind in ["pgp:", "pkcs11:"] where text.hasPrefix(kind) {
            throw KapsuleError(
                .usage, id: "key.unsupported",
                "'\(text)' asks for \(kind.dropLast()), which kapsule does not encrypt with",
                remedy: "use a public key (jwe:FILE), a certificate (pkcs7:FILE) or a key provider (provider:NAME)")
        }
        return .file(text)
    }

    /// Reads the key behind a reference.
    ///
    /// - Throws: `.usage` for a private key, and for anything that is no key.
    public init(_ reference: Reference, environment: [String: String]) throws {
        switch reference {
        case .file(let path): try self.init(file: path, as: nil)
        case .jwe(let path): try self.init(file: path, as: "jwe")
        case .pkcs7(let path): try self.init(file: path, as: "pkcs7")
        case .provider(let name, let parameter):
            self.init(
                kind: .provider(
                    try KeyProvider(named: name, environment: environment), parameter: parameter ?? "Enabled"),
                name: "provider:\(name)")
        }
    }

    private init(file path: String, as scheme: String?) throws {
        name = path
        let key: KeyFile
        do {
            key = try KeyFile.read(path, passphrase: nil, named: path)
        } catch let error as KapsuleError where error.id == "key.passphrase-missing" {
            throw KeyFailure.privateAsRecipient(path).error
        }
        switch key {
        case .privateKey: throw KeyFailure.privateAsRecipient(path).error
        case .publicKey(let key, let algorithm, let keyID):
            guard scheme != "pkcs7" else { throw KeyFailure.certificateAsKey(path).error }
            kind = .jwe(Self.jwe(key, algorithm, keyID, path))
        case .certificate(let certificate):
            // Asked for nothing else, a certificate means what it is made for.
            kind =
                scheme == "jwe"
                ? .jwe(Self.jwe(try KeyFile.usable(certificate.publicKey, path), nil, nil, path))
                : .pkcs7(try Self.usable(certificate, path))
        }
    }

    private static func usable(_ certificate: Certificate, _ path: String) throws -> Certificate {
        guard case .rsa = try KeyFile.usable(certificate.publicKey, path).kind else {
            throw KapsuleError(
                .usage, id: "key.unsupported",
                "\(path) is a certificate with a key on a curve, which PKCS#7 here cannot encrypt for",
                remedy: "write jwe:\(path), or use a certificate with an RSA key")
        }
        return certificate
    }

    private static func jwe(
        _ key: PublicKey, _ algorithm: String?, _ keyID: String?, _ name: String
    ) -> JWEWriter.Recipient {
        let asked = algorithm.flatMap(JWEAlgorithm.init)
        let chosen: JWEAlgorithm
        if case .rsa = key.kind {
            chosen = asked?.padding != nil ? asked ?? .rsaOAEP : .rsaOAEP
        } else {
            chosen = asked.map { $0.padding == nil ? $0 : .ecdhA256KW } ?? .ecdhA256KW
        }
        return JWEWriter.Recipient(key: key, algorithm: chosen, keyID: keyID, name: name)
    }

    /// A key of Vault's. Asked for once, when it is first needed.
    public init(vault: VaultTransit) {
        kind = .vault(vault)
        name = "vault:\(vault.keyName)"
    }
}

/// Everybody who is to be able to decrypt a layer. Never empty.
public struct RecipientSet: Sendable {
    public let recipients: [Recipient]

    /// Nil without any.
    public init?(_ recipients: [Recipient]) {
        guard !recipients.isEmpty else { return nil }
        self.recipients = recipients
    }

    /// One JWE for all keys, one PKCS#7 message for all certificates, one entry for each provider.
    func wrap(_ options: PrivateOptions) throws -> [(scheme: String, payload: [UInt8])] {
        let secret = options.json
        var keys: [JWEWriter.Recipient] = []
        var certificates: [Certificate] = []
        var others: [(scheme: String, payload: [UInt8])] = []
        for recipient in recipients {
            switch recipient.kind {
            case .jwe(let key): keys.append(key)
            case .pkcs7(let certificate): certificates.append(certificate)
            case .provider(let provider, let parameter):
                others.append(("provider.\(provider.name)", try provider.wrap(secret, parameter: parameter)))
            case .vault(let vault):
                switch try vault.wrapping() {
                case .key(let key): keys.append(key)
                case .sealed(let seal): others.append((VaultEnvelope.scheme, try seal(secret)))
                }
            }
        }
        var wrapped: [(scheme: String, payload: [UInt8])] = []
        if !keys.isEmpty { wrapped.append(("jwe", try JWEWriter.encrypt(secret, for: keys))) }
        if !certificates.isEmpty { wrapped.append(("pkcs7", try PKCS7.encrypt(secret, for: certificates))) }
        return wrapped + others
    }

    /// Asks whoever has to be asked, before a byte is moved: a Vault that is sealed, a program that is not there.
    public func check() throws {
        for case .vault(let vault) in recipients.map(\.kind) { _ = try vault.wrapping() }
    }

    /// The annotations of an encrypted layer, with these recipients beside those that it has.
    public func added(to annotations: [String: String], _ layer: UnlockedLayer) throws -> [String: String] {
        var annotations = annotations
        for (scheme, payload) in try wrap(layer.options) {
            LayerAnnotations.append(payload, scheme: scheme, to: &annotations)
        }
        return annotations
    }
}
