internal import COpenSSL

/// The half of a key that only its owner has. libcrypto wipes it when the value goes.
public struct PrivateKey: Sendable {
    let handle: KeyHandle
    public let kind: KeyKind

    init(_ handle: KeyHandle) {
        self.handle = handle
        kind = handle.kind
    }

    // MARK: Reading

    /// Reads PKCS#8, PKCS#1 or SEC1 in DER. Nil for anything else.
    public init?(der: SecretBytes) {
        let key = unsafe der.withSpan { der in
            unsafe der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
                var start = buffer.baseAddress
                return unsafe d2i_AutoPrivateKey_ex(nil, &start, buffer.count, nil, nil)
            }
        }
        ERR_clear_error()
        guard let key = unsafe key else { return nil }
        unsafe self.init(KeyHandle(key))
    }

    /// Reads PKCS#8 under a passphrase (`EncryptedPrivateKeyInfo`). Nil when it is none, or the passphrase another one.
    ///
    /// Source: RFC 5958, 3; RFC 8018 for the schemes, as far as libcrypto's default provider has them.
    public init?(encryptedPKCS8 der: SecretBytes, passphrase: SecretBytes) {
        defer { ERR_clear_error() }
        let envelope = unsafe der.withSpan { der in
            unsafe der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
                var start = buffer.baseAddress
                return unsafe d2i_X509_SIG(nil, &start, buffer.count)
            }
        }
        guard let envelope = unsafe envelope else { return nil }
        defer { unsafe X509_SIG_free(envelope) }
        let info = unsafe passphrase.withSpan { passphrase in
            unsafe passphrase.withUnsafeBufferPointer { buffer in
                // Bounds: as many characters as the buffer has bytes; the two types have one layout.
                unsafe UnsafeRawBufferPointer(buffer).withMemoryRebound(to: CChar.self) { characters in
                    unsafe PKCS8_decrypt(envelope, characters.baseAddress, Int32(characters.count))
                }
            }
        }
        guard let info = unsafe info else { return nil }
        defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
        guard let key = unsafe EVP_PKCS82PKEY(info) else { return nil }
        unsafe self.init(KeyHandle(key))
    }

    /// Makes a new one.
    public static func generate(_ kind: KeyKind) -> PrivateKey? {
        let name: String
        switch kind {
        case .rsa: name = "RSA"
        case .ec: name = "EC"
        case .other: return nil
        }
        guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, name, nil) else { return nil }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        guard unsafe EVP_PKEY_keygen_init(context) == 1 else { return nil }
        switch kind {
        case .rsa(let bits):
            guard unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context, Int32(bits)) == 1 else { return nil }
        case .ec(let curve):
            guard unsafe EVP_PKEY_CTX_set_group_name(context, curve.groupName) == 1 else { return nil }
        case .other: return nil
        }
        var key: OpaquePointer?
        guard unsafe EVP_PKEY_generate(context, &key) == 1, let key = unsafe key else { return nil }
        return unsafe PrivateKey(KeyHandle(key))
    }

    // MARK: Using

    public var publicKey: PublicKey? {
        guard let der = unsafe KeyHandle.encoded({ unsafe i2d_PUBKEY(handle.pointer, $0) }) else { return nil }
        return PublicKey(subjectPublicKeyInfo: der)
    }

    /// - Returns: nil when the key is not RSA, or not the one.
    public func decrypt(_ ciphertext: [UInt8], _ padding: RSAPadding) -> SecretBytes? {
        guard case .rsa = kind, var plain = handle.rsa(.decrypt, ciphertext.span, padding) else { return nil }
        return SecretBytes(taking: &plain)
    }

    /// The x-coordinate of the point shared with `other`, padded at the left to the field size.
    ///
    /// Source: NIST SP 800-56A, 5.7.1.2.
    public func agree(with other: PublicKey) -> SecretBytes? {
        guard case .ec(let curve) = kind, other.kind == kind else { return nil }
        defer { ERR_clear_error() }
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, handle.pointer, nil) else { return nil }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        guard unsafe EVP_PKEY_derive_init(context) == 1,
            unsafe EVP_PKEY_derive_set_peer_ex(context, other.handle.pointer, 1) == 1
        else { return nil }
        var secret = [UInt8](repeating: 0, count: curve.fieldSize)
        var count = secret.count
        // Bounds: libcrypto writes at most `count` bytes.
        guard unsafe EVP_PKEY_derive(context, &secret, &count) == 1, count == curve.fieldSize else { return nil }
        return SecretBytes(taking: &secret)
    }

    // MARK: Writing

    /// PKCS#8, plain.
    public func pkcs8() -> SecretBytes? {
        guard let info = unsafe EVP_PKEY2PKCS8(handle.pointer) else { return nil }
        defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
        guard var der = unsafe KeyHandle.encoded({ unsafe i2d_PKCS8_PRIV_KEY_INFO(info, $0) }) else { return nil }
        return SecretBytes(taking: &der)
    }

    /// PKCS#8 under a passphrase: PBES2, PBKDF2 with HMAC-SHA-256, AES-256-CBC.
    ///
    /// Source: RFC 8018, 6.2.
    public func encryptedPKCS8(passphrase: SecretBytes) -> [UInt8]? {
        guard let info = unsafe EVP_PKEY2PKCS8(handle.pointer) else { return nil }
        defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
        let rounds: Int32 = 600_000
        let envelope = unsafe passphrase.withSpan { passphrase in
            unsafe passphrase.withUnsafeBufferPointer { buffer in
                // Bounds: as many characters as the buffer has bytes; the two types have one layout.
                unsafe UnsafeRawBufferPointer(buffer).withMemoryRebound(to: CChar.self) { characters in
                    unsafe PKCS8_encrypt(
                        -1, EVP_aes_256_cbc(), characters.baseAddress, Int32(characters.count), nil, 0, rounds, info)
                }
            }
        }
        guard let envelope = unsafe envelope else { return nil }
        defer { unsafe X509_SIG_free(envelope) }
        return unsafe KeyHandle.encoded { unsafe i2d_X509_SIG(envelope, $0) }
    }
}
