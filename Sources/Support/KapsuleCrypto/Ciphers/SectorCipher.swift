internal import COpenSSL
internal import KapsuleCore

/// AES-256-XTS over sectors of 4096 bytes, numbered as dm-crypt's `aes-xts-plain64` numbers them.
///
/// A value without state: any number of threads may encrypt different sectors with the same one. The key is wiped from
/// memory with it.
///
/// Source: IEEE 1619-2007; Linux `Documentation/admin-guide/device-mapper/dm-crypt.rst`: the tweak is the number of the
/// sector's first **512-byte** sector, 64 bits little-endian, then zeros (no `iv_large_sectors`).
// The key is written once, in `init`, and only read after.
@safe
public final class SectorCipher: @unchecked Sendable {
    /// Bytes of a sector.
    public static let sectorSize = 4096
    /// Bytes of a key: the data key, then the tweak key.
    public static let keySize = 64
    /// Steps by which the tweak counts a sector.
    private static let tweakStep: Int64 = 8
    private static let algorithm = FetchedCipher("AES-256-XTS")

    private let key: UnsafeMutablePointer<UInt8>

    /// - Throws: `.usage` unless `key` has 64 bytes in two different halves.
    public init(key bytes: Span<UInt8>) throws {
        guard bytes.count == Self.keySize else {
            throw KapsuleError(
                .usage, id: "crypto.key-size", "a disk key has \(Self.keySize) bytes, and this one has \(bytes.count)")
        }
        guard (0..<32).contains(where: { bytes[$0] != bytes[32 + $0] }) else {
            throw KapsuleError(
                .usage, id: "crypto.weak-key", "the two halves of the disk key are equal, which XTS does not allow",
                remedy: "use a key of 64 random bytes")
        }
        unsafe key = .allocate(capacity: Self.keySize)
        for index in bytes.indices { unsafe key[index] = bytes[index] }
    }

    deinit {
        unsafe OPENSSL_cleanse(key, Self.keySize)
        unsafe key.deallocate()
    }

    /// Encrypts whole sectors, of which the first is sector `first`, from `plain` to as many bytes of `output`.
    public func encrypt(_ plain: Span<UInt8>, into output: inout MutableSpan<UInt8>, at first: Int64) throws {
        try run(encrypting: true, plain, &output, first)
    }

    /// Decrypts what `encrypt` wrote. Any bytes decrypt to something: authenticity is somebody else's promise.
    public func decrypt(_ encrypted: Span<UInt8>, into output: inout MutableSpan<UInt8>, at first: Int64) throws {
        try run(encrypting: false, encrypted, &output, first)
    }

    private func run(
        encrypting: Bool, _ input: Span<UInt8>, _ output: inout MutableSpan<UInt8>, _ first: Int64
    ) throws {
        precondition(input.count % Self.sectorSize == 0, "only whole sectors are encrypted")
        precondition(input.count == output.count, "every byte has its place")
        guard let context = unsafe EVP_CIPHER_CTX_new() else { fatalError("libcrypto has no memory for a cipher") }
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        let direction: Int32 = encrypting ? 1 : 0
        try check(unsafe EVP_CipherInit_ex2(context, Self.algorithm.pointer, key, nil, direction, nil))
        // Bounds: whole sectors, and as many in `output` as in `input`, as checked above.
        try unsafe input.withUnsafeBufferPointer { input in
            try unsafe output.withUnsafeMutableBufferPointer { output in
                guard let from = input.baseAddress, let to = output.baseAddress else { return }
                for sector in 0..<input.count / Self.sectorSize {
                    let tweak = Self.tweak(first + Int64(sector))
                    var written: Int32 = 0
                    try check(unsafe EVP_CipherInit_ex2(context, nil, nil, tweak, direction, nil))
                    let start = sector * Self.sectorSize
                    try check(
                        unsafe EVP_CipherUpdate(
                            context, to + start, &written, from + start, Int32(Self.sectorSize)))
                }
            }
        }
    }

    private static func tweak(_ sector: Int64) -> [UInt8] {
        let number = UInt64(sector * tweakStep)
        return (0..<16).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) : 0 }
    }

    private func check(_ result: Int32) throws {
        guard result == 1 else {
            throw KapsuleError(.defect, id: "crypto.xts", "libcrypto failed to run AES-256-XTS")
        }
    }
}
