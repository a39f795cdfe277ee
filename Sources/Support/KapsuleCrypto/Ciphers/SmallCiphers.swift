internal import COpenSSL

/// AES-GCM over a message that fits in memory.
///
/// Source: NIST SP 800-38D.
public enum AESGCM {
    public static let tagSize = 16

    /// - Parameter key: 16, 24 or 32 bytes.
    /// - Returns: the ciphertext, as long as `plain`, and its tag.
    public static func seal(
        _ plain: Span<UInt8>, key: SecretBytes, nonce: [UInt8], authenticating data: [UInt8] = []
    ) -> (ciphertext: [UInt8], tag: [UInt8]) {
        let context = CipherContext()
        precondition(start(context, key, nonce, data, encrypting: true), "libcrypto cannot start AES-GCM")
        let output = SmallCipher.update(context, plain)
        var tag = [UInt8](repeating: 0, count: tagSize)
        var count: Int32 = 0
        var nothing: UInt8 = 0
        let result = unsafe EVP_CipherFinal_ex(context.pointer, &nothing, &count) == 1
        // Bounds: `tag` has the `tagSize` bytes that are asked for.
        let tagged = unsafe EVP_CIPHER_CTX_ctrl(context.pointer, EVP_CTRL_AEAD_GET_TAG, Int32(tagSize), &tag) == 1
        guard result, tagged, let output else { fatalError("libcrypto cannot finish AES-GCM") }
        return (output, tag)
    }

    /// - Returns: nil when the tag is not that of the message: it was changed, or the key is another one.
    public static func open(
        _ ciphertext: Span<UInt8>, tag: [UInt8], key: SecretBytes, nonce: [UInt8], authenticating data: [UInt8] = []
    ) -> SecretBytes? {
        guard tag.count == tagSize, [16, 24, 32].contains(key.count), !nonce.isEmpty else { return nil }
        let context = CipherContext()
        guard start(context, key, nonce, data, encrypting: false) else { return nil }
        var tag = tag
        // Bounds: `tag` has the `tagSize` bytes that are read.
        guard unsafe EVP_CIPHER_CTX_ctrl(context.pointer, EVP_CTRL_AEAD_SET_TAG, Int32(tagSize), &tag) == 1,
            var output = SmallCipher.update(context, ciphertext)
        else { return nil }
        var count: Int32 = 0
        var nothing: UInt8 = 0
        let plain = SecretBytes(taking: &output)
        return unsafe EVP_CipherFinal_ex(context.pointer, &nothing, &count) == 1 ? plain : nil
    }

    private static func start(
        _ context: borrowing CipherContext, _ key: SecretBytes, _ nonce: [UInt8], _ data: [UInt8], encrypting: Bool
    ) -> Bool {
        let direction: Int32 = encrypting ? 1 : 0
        let cipher = FetchedCipher("AES-\(key.count * 8)-GCM")
        let pointer = unsafe context.pointer
        guard unsafe EVP_CipherInit_ex2(pointer, cipher.pointer, nil, nil, direction, nil) == 1,
            unsafe EVP_CIPHER_CTX_ctrl(pointer, EVP_CTRL_AEAD_SET_IVLEN, Int32(nonce.count), nil) == 1
        else { return false }
        let keyed = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe EVP_CipherInit_ex2(pointer, nil, key.baseAddress, nonce, direction, nil) == 1
            }
        }
        guard keyed else { return false }
        guard !data.isEmpty else { return true }
        var count: Int32 = 0
        return unsafe EVP_CipherUpdate(pointer, nil, &count, data, Int32(data.count)) == 1
    }
}

/// AES-CBC with PKCS#7 padding: read, never written.
///
/// Source: NIST SP 800-38A, 6.2; RFC 5652, 6.3.
public enum AESCBC {
    /// - Parameter key: 16, 24 or 32 bytes.
    /// - Returns: nil when the padding is wrong.
    public static func open(_ ciphertext: Span<UInt8>, key: SecretBytes, iv: [UInt8]) -> SecretBytes? {
        guard [16, 24, 32].contains(key.count), iv.count == 16, !ciphertext.isEmpty else { return nil }
        let context = CipherContext()
        let cipher = FetchedCipher("AES-\(key.count * 8)-CBC")
        let started = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe EVP_CipherInit_ex2(context.pointer, cipher.pointer, key.baseAddress, iv, 0, nil) == 1
            }
        }
        guard started, var output = SmallCipher.update(context, ciphertext) else { return nil }
        var last = [UInt8](repeating: 0, count: 32)
        var count: Int32 = 0
        guard unsafe EVP_CipherFinal_ex(context.pointer, &last, &count) == 1 else { return nil }
        output += last.prefix(Int(count))
        SecretBytes.wipe(&last)
        return SecretBytes(taking: &output)
    }
}

/// AES key wrap with the default initial value.
///
/// Source: RFC 3394.
public enum AESKeyWrap {
    /// - Parameters:
    ///   - secret: a multiple of eight bytes, sixteen at least.
    ///   - key: 16, 24 or 32 bytes.
    public static func wrap(_ secret: SecretBytes, with key: SecretBytes) -> [UInt8]? {
        secret.withSpan { run($0, key, encrypting: true) }
    }

    /// - Returns: nil when it was wrapped with another key, or changed.
    public static func unwrap(_ wrapped: [UInt8], with key: SecretBytes) -> SecretBytes? {
        guard wrapped.count >= 24, var output = run(wrapped.span, key, encrypting: false) else { return nil }
        return SecretBytes(taking: &output)
    }

    private static func run(_ input: Span<UInt8>, _ key: SecretBytes, encrypting: Bool) -> [UInt8]? {
        guard [16, 24, 32].contains(key.count), input.count % 8 == 0 else { return nil }
        let context = CipherContext()
        unsafe EVP_CIPHER_CTX_set_flags(context.pointer, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW)
        let cipher = FetchedCipher("AES-\(key.count * 8)-WRAP")
        let started = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe EVP_CipherInit_ex2(
                    context.pointer, cipher.pointer, key.baseAddress, nil, encrypting ? 1 : 0, nil) == 1
            }
        }
        return started ? SmallCipher.update(context, input) : nil
    }
}

private enum SmallCipher {
    /// What the cipher makes of all of `input`; nil when it refuses.
    static func update(_ context: borrowing CipherContext, _ input: Span<UInt8>) -> [UInt8]? {
        precondition(input.count < 1 << 24, "only small messages are held in memory")
        // Room for a block more, which key wrap and padding may need.
        var output = [UInt8](repeating: 0, count: input.count + 32)
        guard !input.isEmpty else { return [] }
        var count: Int32 = 0
        let pointer = unsafe context.pointer
        let result = unsafe input.withUnsafeBufferPointer { input in
            unsafe EVP_CipherUpdate(pointer, &output, &count, input.baseAddress, Int32(input.count))
        }
        guard result == 1 else {
            SecretBytes.wipe(&output)
            return nil
        }
        output.removeLast(output.count - Int(count))
        return output
    }
}
