internal import COpenSSL

/// Keys derived from a key by HMAC-SHA-256.
///
/// Source: RFC 5869.
public enum HKDF {
    private static let blockSize = 32

    /// - Parameters:
    ///   - key: the input key material.
    ///   - count: bytes wanted, at most 8160.
    public static func derive(key: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
        precondition(count > 0 && count <= 255 * blockSize, "HKDF gives at most 255 blocks")
        let pseudoRandomKey = authenticate(salt, [key])
        var output: [UInt8] = []
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while output.count < count {
            block = authenticate(pseudoRandomKey, [block, info, [counter]])
            output += block
            counter &+= 1
        }
        return Array(output.prefix(count))
    }

    /// HMAC-SHA-256 of `parts`, one after another. Source: RFC 2104.
    private static func authenticate(_ key: [UInt8], _ parts: [[UInt8]]) -> [UInt8] {
        let message = Array(parts.joined())
        var code = [UInt8](repeating: 0, count: blockSize)
        var size = 0
        let result = unsafe EVP_Q_mac(
            nil, "HMAC", nil, "SHA256", nil, key, key.count, message, message.count, &code, code.count, &size)
        precondition(unsafe result != nil && size == blockSize, "libcrypto cannot compute HMAC-SHA-256")
        return code
    }
}
