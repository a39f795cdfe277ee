public import KapsuleCore

/// What can be wrong with an encrypted layer. `what` names it: `layer sha256:9f86… of ghcr.io/acme/m:7b`.
public enum EncryptionFailure {
    /// No key was given at all.
    case noKey(_ what: String, recipients: String)
    /// Keys were given, and none of them opens it.
    case notForUs(_ what: String, recipients: String, tried: [String], notes: [String])
    /// Base64, JSON, a JWE or a PKCS#7 message that is none.
    case annotation(_ what: String, _ why: String)
    /// A cipher or a way of wrapping that is not known here.
    case unsupported(_ what: String, _ why: String)
    case codeMissing(_ what: String)
    case codeMismatch(_ what: String)

    public static let annotationID = "encryption.annotation"

    public var error: KapsuleError {
        switch self {
        case .noKey(let what, let recipients):
            KapsuleError(
                .undecryptable, id: "encryption.no-key", "\(what) is encrypted, and no key was given",
                remedy: "give a key with --decryption-key; it was encrypted for: \(recipients)")
        case .notForUs(let what, let recipients, let tried, let notes):
            KapsuleError(
                .undecryptable, id: "encryption.not-for-us",
                "cannot decrypt \(what): none of the keys given opens it (\(tried.joined(separator: ", ")))"
                    + notes.map { "; \($0)" }.joined(),
                remedy:
                    "it was encrypted for: \(recipients); give a key of one of them with --decryption-key, or ask one "
                    + "of them to add you with 'kapsule recipients add'")
        case .annotation(let what, let why):
            KapsuleError(
                .unverified, id: Self.annotationID, "\(what) cannot be decrypted: \(why)",
                remedy: "the manifest is damaged; push the image again")
        case .unsupported(let what, let why):
            KapsuleError(
                .undecryptable, id: "encryption.unsupported", "\(what) \(why), which kapsule cannot decrypt",
                remedy: "decrypt the image with the tool that made it")
        case .codeMissing(let what):
            KapsuleError(
                .unverified, id: "encryption.hmac-missing",
                "\(what) cannot be decrypted: its public options have no HMAC, so nobody could tell a change",
                remedy: "do not use this image: no proper tool writes such options")
        case .codeMismatch(let what):
            KapsuleError(
                .unverified, id: "encryption.hmac",
                "\(what) is not what its key's owner encrypted: its HMAC is another",
                remedy: "do not use this image: the manifest or the layer was changed")
        }
    }
}
