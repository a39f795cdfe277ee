internal import COpenSSL
internal import KapsuleCore

/// The name git gives to the content of a file: SHA-1 over `blob SIZE`, a NUL and the content.
///
/// SHA-1 is broken: somebody may make two contents of one name. It proves that bytes are those that the repository has
/// under that name, as far as git itself can prove it, and is used for nothing else.
///
/// Source: git, `Documentation/gitformat-pack.adoc` and `hash-object`.
@safe
public struct GitBlobHasher: ~Copyable {
    private static let algorithm = FetchedDigest("SHA1")
    /// Length of the value, in bytes.
    private static let byteCount = 20
    private let context: OpaquePointer

    /// - Parameter size: of the content that will come, in bytes.
    public init(size: Int64) {
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("libcrypto has no memory for a hash") }
        unsafe self.context = context
        let result = unsafe EVP_DigestInit_ex2(context, Self.algorithm.pointer, nil)
        precondition(result == 1, "libcrypto cannot start SHA-1")
        update(Array("blob \(size)\0".utf8).span)
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    public mutating func update(_ bytes: Span<UInt8>) {
        let result = unsafe bytes.withUnsafeBufferPointer { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        precondition(result == 1, "libcrypto cannot go on with SHA-1")
    }

    /// 40 lower-case hex digits, of all that has come.
    public consuming func finalize() -> String {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        let result = unsafe bytes.withUnsafeMutableBufferPointer {
            unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
        }
        precondition(result == 1, "libcrypto cannot finish SHA-1")
        return Hex.encode(bytes)
    }

    /// Of content at hand.
    public static func name(of content: [UInt8]) -> String {
        var hasher = GitBlobHasher(size: Int64(content.count))
        hasher.update(content.span)
        return hasher.finalize()
    }
}
