public import KapsuleCore
internal import KapsuleCrypto

/// Decrypts a layer on its way, and insists that it is what was encrypted and what the manifest promises.
///
/// **Nothing that comes out is good before `finish` has returned**: what stands behind `next` must not be visible until
/// then.
///
/// Source: ocicrypt, `blockcipher/blockcipher_aes_ctr.go`.
public struct LayerDecryptor<Next: ByteSink & ~Copyable>: ByteSink, ~Copyable {
    public var next: Next
    private let layer: UnlockedLayer
    private let expected: Artifact
    private let what: String
    private var cipher: CounterCipher
    private var hasher: AuthenticatingHasher
    private var block = [UInt8](repeating: 0, count: CipherBlock.size)
    private var count: Int64 = 0

    /// - Parameters:
    ///   - expected: digest and size of the ciphertext, from the descriptor.
    ///   - what: names the layer in errors.
    public init(_ next: consuming Next, _ layer: UnlockedLayer, expecting expected: Artifact, what: String) {
        self.next = next
        self.layer = layer
        self.expected = expected
        self.what = what
        cipher = layer.key.cipher()
        hasher = AuthenticatingHasher(key: layer.key.key)
    }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        count += Int64(bytes.count)
        guard count <= expected.size else {
            throw KapsuleError(
                .unverified, id: "content.too-long", "\(what) is longer than the \(expected.size) bytes promised")
        }
        var block: [UInt8] = []
        // Ours alone while its parts are lent out.
        swap(&block, &self.block)
        defer { swap(&block, &self.block) }
        var done = 0
        while done < bytes.count {
            let taken = min(block.count, bytes.count - done)
            let encrypted = bytes.extracting(done..<done + taken)
            hasher.update(encrypted)
            var output = block.mutableSpan
            cipher.apply(encrypted, into: &output)
            try next.write(block.span.extracting(first: taken))
            done += taken
        }
    }

    /// All bytes have come.
    ///
    /// - Throws: `.unverified` unless size, digest and HMAC are as promised.
    public mutating func finish() throws {
        let (digest, code) = hasher.finalize()
        guard count == expected.size, digest == expected.digest else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(what) is not what was promised: expected \(expected.digest), got \(digest), "
                    + "\(count) of \(expected.size) bytes",
                remedy: "fetch it again; if it happens again, the source itself is damaged")
        }
        guard ConstantTime.areEqual(code, layer.code) else { throw EncryptionFailure.codeMismatch(what).error }
    }
}

/// A layer whose key is known.
public struct UnlockedLayer: Sendable {
    let key: LayerKey
    /// What the HMAC of the ciphertext has to be.
    let code: [UInt8]
    let options: PrivateOptions

    init(_ options: PrivateOptions, _ annotations: LayerAnnotations) {
        self.options = options
        key = options.key
        code = annotations.options.code
    }
}
