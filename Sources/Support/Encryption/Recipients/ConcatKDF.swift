internal import KapsuleCore
internal import KapsuleCrypto

/// A key from a shared secret, as JWE derives it.
///
/// Source: NIST SP 800-56A, 5.8.1; RFC 7518, 4.6.2.
enum ConcatKDF {
    /// - Parameters:
    ///   - algorithm: the whole `alg`, as in `ECDH-ES+A256KW`.
    ///   - count: bytes wanted.
    static func derive(
        _ secret: SecretBytes, algorithm: String, partyU: [UInt8], partyV: [UInt8], count: Int
    ) -> SecretBytes {
        let info =
            field(Array(algorithm.utf8)) + field(partyU) + field(partyV) + bigEndian(UInt32(count * 8))
        var key: [UInt8] = []
        var round: UInt32 = 1
        while key.count < count {
            var hash = RunningSHA256()
            hash.update(bigEndian(round).span)
            secret.withSpan { hash.update($0) }
            hash.update(info.span)
            key += hash.finalize().bytes
            round += 1
        }
        key.removeLast(key.count - count)
        return SecretBytes(taking: &key)
    }

    private static func field(_ bytes: [UInt8]) -> [UInt8] { bigEndian(UInt32(bytes.count)) + bytes }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
