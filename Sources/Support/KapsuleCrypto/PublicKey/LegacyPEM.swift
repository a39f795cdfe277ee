internal import COpenSSL

/// What private keys in PEM with `Proc-Type: 4,ENCRYPTED` are encrypted with.
///
/// Source: OpenSSL, PEM_read_bio_PrivateKey(3), "PEM encryption format"; RFC 1421, 4.6.1.1 and 4.6.1.3.
public enum LegacyPEM {
    /// - Parameters:
    ///   - cipher: as DEK-Info names it: `AES-256-CBC`, `DES-EDE3-CBC`.
    ///   - iv: all of DEK-Info's; its first eight bytes are the salt.
    /// - Returns: nil for a cipher that is not known, a wrong passphrase, or damage.
    public static func decrypt(
        _ body: [UInt8], cipher name: String, iv: [UInt8], passphrase: SecretBytes
    ) -> SecretBytes? {
        let sizes = ["AES-128-CBC": 16, "AES-192-CBC": 24, "AES-256-CBC": 32, "DES-EDE3-CBC": 24]
        guard let keySize = sizes[name.uppercased()], iv.count == (name.hasPrefix("DES") ? 8 : 16), !body.isEmpty else {
            return nil
        }
        defer { ERR_clear_error() }
        let key = derive(passphrase, salt: Array(iv.prefix(8)), count: keySize)
        let context = CipherContext()
        guard let cipher = unsafe EVP_CIPHER_fetch(nil, name, nil) else { return nil }
        defer { unsafe EVP_CIPHER_free(cipher) }
        let started = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe EVP_CipherInit_ex2(context.pointer, cipher, key.baseAddress, iv, 0, nil) == 1
            }
        }
        guard started else { return nil }
        var output = [UInt8](repeating: 0, count: body.count + 32)
        var count: Int32 = 0
        // Bounds: a block more than the input.
        guard unsafe EVP_CipherUpdate(context.pointer, &output, &count, body, Int32(body.count)) == 1 else {
            return nil
        }
        var last = [UInt8](repeating: 0, count: 32)
        var lastCount: Int32 = 0
        guard unsafe EVP_CipherFinal_ex(context.pointer, &last, &lastCount) == 1 else { return nil }
        var plain = Array(output.prefix(Int(count)) + last.prefix(Int(lastCount)))
        SecretBytes.wipe(&output)
        SecretBytes.wipe(&last)
        return SecretBytes(taking: &plain)
    }

    /// MD5(previous || passphrase || salt), over and over, until there is enough of it.
    private static func derive(_ passphrase: SecretBytes, salt: [UInt8], count: Int) -> SecretBytes {
        let md5 = FetchedDigest("MD5")
        var key: [UInt8] = []
        var previous: [UInt8] = []
        while key.count < count {
            var input = previous + passphrase.bytes + salt
            previous = [UInt8](repeating: 0, count: 16)
            let result = unsafe EVP_Digest(input, input.count, &previous, nil, md5.pointer, nil)
            precondition(result == 1, "libcrypto cannot compute MD5")
            SecretBytes.wipe(&input)
            key += previous
        }
        key.removeLast(key.count - count)
        return SecretBytes(taking: &key)
    }
}
