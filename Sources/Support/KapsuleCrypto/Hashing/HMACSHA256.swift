internal import COpenSSL
public import KapsuleCore

/// HMAC-SHA-256, block by block, and the plain digest of the same bytes at nearly no further price.
///
/// Source: RFC 2104.
public struct AuthenticatingHasher: Sendable {
    private static let blockSize = 64

    /// First the digest; second the inner hash, which begins with the padded key.
    private var hashes = TwinSHA256()
    private let key: SecretBytes

    /// - Parameter key: at most 64 bytes.
    public init(key: SecretBytes) {
        precondition(key.count <= Self.blockSize, "longer keys are hashed first, and nobody has one here")
        self.key = key
        var pad = Self.padded(key, 0x36)
        hashes.updateSecond(pad.span)
        SecretBytes.wipe(&pad)
    }

    public mutating func update(_ bytes: Span<UInt8>) { hashes.update(bytes) }

    /// Of all bytes so far: their digest, and the code that whoever has the key can check.
    public mutating func finalize() -> (digest: Digest, code: [UInt8]) {
        var outer = RunningSHA256()
        var pad = Self.padded(key, 0x5C)
        outer.update(pad.span)
        SecretBytes.wipe(&pad)
        outer.update(hashes.finalizeSecond().bytes.span)
        return (hashes.finalizeFirst(), outer.finalize().bytes)
    }

    private static func padded(_ key: SecretBytes, _ value: UInt8) -> [UInt8] {
        var block = [UInt8](repeating: value, count: blockSize)
        key.withSpan { key in for index in key.indices { block[index] ^= key[index] } }
        return block
    }
}

/// HMAC over a message that fits in memory.
///
/// Source: RFC 2104.
public enum MessageCode {
    public enum Hash: String, Sendable { case sha256 = "SHA256", sha384 = "SHA384", sha512 = "SHA512" }

    public static func compute(_ hash: Hash, key: SecretBytes, _ message: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 64)
        var size = 0
        let result = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe EVP_Q_mac(
                    nil, "HMAC", nil, hash.rawValue, nil, key.baseAddress, key.count, message, message.count, &code,
                    code.count, &size) != nil
            }
        }
        precondition(result, "libcrypto cannot compute HMAC")
        return Array(code.prefix(size))
    }
}
