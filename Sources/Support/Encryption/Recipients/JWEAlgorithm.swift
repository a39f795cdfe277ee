internal import KapsuleCrypto

/// How a JWE wraps its content key for one recipient.
///
/// Source: RFC 7518, 4.1. Recent ocicrypt refuses a whole JWE for one `alg` that is not among these.
enum JWEAlgorithm: String, Sendable {
    case rsaOAEP = "RSA-OAEP"
    case rsaOAEP256 = "RSA-OAEP-256"
    case ecdhA128KW = "ECDH-ES+A128KW"
    case ecdhA192KW = "ECDH-ES+A192KW"
    case ecdhA256KW = "ECDH-ES+A256KW"

    var padding: RSAPadding? {
        switch self {
        case .rsaOAEP: .oaepSHA1
        case .rsaOAEP256: .oaepSHA256
        case .ecdhA128KW, .ecdhA192KW, .ecdhA256KW: nil
        }
    }

    /// Bytes of the key that wraps, where one is agreed on.
    var wrappingKeySize: Int {
        switch self {
        case .ecdhA128KW: 16
        case .ecdhA192KW: 24
        case .ecdhA256KW: 32
        case .rsaOAEP, .rsaOAEP256: 0
        }
    }
}

/// What a JWE's content is encrypted with.
///
/// Source: RFC 7518, 5.1.
enum JWEContentCipher: String, Sendable {
    case a128GCM = "A128GCM"
    case a192GCM = "A192GCM"
    case a256GCM = "A256GCM"
    case a128CBC = "A128CBC-HS256"
    case a192CBC = "A192CBC-HS384"
    case a256CBC = "A256CBC-HS512"

    var keySize: Int {
        switch self {
        case .a128GCM: 16
        case .a192GCM: 24
        case .a256GCM, .a128CBC: 32
        case .a192CBC: 48
        case .a256CBC: 64
        }
    }

    private var hash: MessageCode.Hash? {
        switch self {
        case .a128GCM, .a192GCM, .a256GCM: nil
        case .a128CBC: .sha256
        case .a192CBC: .sha384
        case .a256CBC: .sha512
        }
    }

    /// - Returns: nil when the tag is not that of the message.
    func open(_ message: JWE, key: SecretBytes) -> SecretBytes? {
        guard key.count == keySize else { return nil }
        guard let hash else {
            guard message.iv.count == 12 else { return nil }
            return AESGCM.open(
                message.ciphertext.span, tag: message.tag, key: key, nonce: message.iv,
                authenticating: message.authenticated)
        }
        // RFC 7518, 5.2.2: the first half of the key is for the code, the second for the cipher.
        let half = keySize / 2
        let (macKey, cipherKey) = key.withSpan {
            (SecretBytes(copying: $0.extracting(0..<half)), SecretBytes(copying: $0.extracting(half..<keySize)))
        }
        let bits = UInt64(message.authenticated.count) * 8
        let length = stride(from: UInt64(56), through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> $0) }
        let code = MessageCode.compute(
            hash, key: macKey, message.authenticated + message.iv + message.ciphertext + length)
        guard ConstantTime.areEqual(Array(code.prefix(half)), message.tag) else { return nil }
        return AESCBC.open(message.ciphertext.span, key: cipherKey, iv: message.iv)
    }
}
