internal import COpenSSL
public import KapsuleCore

/// SHA-256, block by block. One owner; closed with its value.
///
/// Source: FIPS 180-4, through libcrypto's `EVP_Digest*`.
@safe
public struct SHA256Hasher: ~Copyable {
    // Fetched once: a fetch for every context costs a tenth of a 4 KiB block.
    private static let algorithm = FetchedDigest("SHA256")
    private let context: OpaquePointer

    public init() {
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("libcrypto has no memory for a hash") }
        unsafe self.context = context
        restart()
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    private func restart() {
        let result = unsafe EVP_DigestInit_ex2(context, Self.algorithm.pointer, nil)
        precondition(result == 1, "libcrypto cannot start SHA-256")
    }

    public mutating func update(_ bytes: Span<UInt8>) {
        let result = unsafe bytes.withUnsafeBufferPointer { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        precondition(result == 1, "libcrypto cannot go on with SHA-256")
    }

    /// The digest of all bytes so far; the hasher starts anew.
    public mutating func finalize() -> Digest {
        var bytes = [UInt8](repeating: 0, count: Digest.byteCount)
        let result = unsafe bytes.withUnsafeMutableBufferPointer {
            unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
        }
        precondition(result == 1, "libcrypto cannot finish SHA-256")
        restart()
        return Digest(bytes: bytes.span)
    }
}

/// An algorithm of libcrypto's default provider, held for the life of the process.
// Immutable after `EVP_MD_fetch`, and libcrypto documents fetched algorithms as safe to share between threads.
@safe
struct FetchedDigest: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ name: String) {
        guard let pointer = unsafe EVP_MD_fetch(nil, name, nil) else {
            fatalError("libcrypto has no \(name): its default provider is not loaded")
        }
        unsafe self.pointer = pointer
    }
}

extension Digest {
    /// The digest of bytes at hand.
    public static func of(_ bytes: Span<UInt8>) -> Digest {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finalize()
    }

    public static func of(_ bytes: [UInt8]) -> Digest { of(bytes.span) }
    public static func of(_ text: String) -> Digest { of(Array(text.utf8)) }

    /// The digest of all of `source`, which is read once.
    public static func of(_ source: some ByteSource) throws -> Digest {
        var sink = HashingSink()
        try source.read(0..<source.size, into: &sink)
        return sink.finalize()
    }
}
