internal import KapsuleCrypto

/// The key of one layer, and the first block of its counter. Wiped from memory with the value.
///
/// A pair is used for one sequence of bytes only: two layers under one pair would give each other away.
public struct LayerKey: Sendable {
    static let keySize = CounterCipher.keySize
    static let nonceSize = CounterCipher.blockSize

    let key: SecretBytes
    let nonce: SecretBytes

    init(key: SecretBytes, nonce: SecretBytes) {
        precondition(key.count == Self.keySize && nonce.count == Self.nonceSize, "a layer key has such sizes")
        self.key = key
        self.nonce = nonce
    }

    /// A new one, from the system's source of randomness.
    public static func fresh() -> LayerKey {
        LayerKey(key: .random(count: keySize), nonce: .random(count: nonceSize))
    }

    /// - Parameter offset: of the first byte that will come, from the start of the layer.
    func cipher(at offset: Int64 = 0) -> CounterCipher {
        CounterCipher(key: key, counter: nonce.bytes.span, at: offset)
    }
}
