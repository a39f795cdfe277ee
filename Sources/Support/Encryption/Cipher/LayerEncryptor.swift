public import KapsuleCore
internal import KapsuleCrypto

/// Encrypts a layer on its way: AES-256-CTR, then HMAC-SHA-256 and the digest of what comes out, in one pass.
///
/// Source: ocicrypt, `blockcipher/blockcipher_aes_ctr.go`.
public struct LayerEncryptor<Next: ByteSink & ~Copyable>: ByteSink, ~Copyable {
    public var next: Next
    private let key: LayerKey
    private var cipher: CounterCipher
    private var hasher: AuthenticatingHasher
    private var block = [UInt8](repeating: 0, count: CipherBlock.size)
    private var count: Int64 = 0

    /// - Parameter key: used for nothing else, before and after.
    public init(_ next: consuming Next, key: LayerKey = .fresh()) {
        self.next = next
        self.key = key
        cipher = key.cipher()
        hasher = AuthenticatingHasher(key: key.key)
    }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        var block: [UInt8] = []
        // Ours alone while its parts are lent out.
        swap(&block, &self.block)
        defer { swap(&block, &self.block) }
        var done = 0
        while done < bytes.count {
            let taken = min(block.count, bytes.count - done)
            var output = block.mutableSpan
            cipher.apply(bytes.extracting(done..<done + taken), into: &output)
            let encrypted = block.span.extracting(first: taken)
            hasher.update(encrypted)
            try next.write(encrypted)
            done += taken
        }
        count += Int64(bytes.count)
    }

    /// All bytes have come.
    public mutating func finish() -> SealedLayer {
        let (digest, code) = hasher.finalize()
        return SealedLayer(
            artifact: Artifact(digest: digest, size: count), options: PublicOptions(code: code), key: key)
    }
}

/// Bytes that are worked on at a time: they stay in the second-level cache between cipher and hash.
enum CipherBlock {
    static let size = 128 << 10
}

/// An encrypted layer whose key nobody has been given yet.
public struct SealedLayer: Sendable {
    /// Of the ciphertext.
    public let artifact: Artifact
    let options: PublicOptions
    let key: LayerKey

    /// What its descriptor needs, beside the annotations that it has.
    ///
    /// - Parameter plain: digest of the bytes that were encrypted, where known.
    public func annotations(for recipients: RecipientSet, plain: Digest?) throws -> [String: String] {
        LayerAnnotations.encoded(options, try recipients.wrap(PrivateOptions(key: key, digest: plain)))
    }
}
