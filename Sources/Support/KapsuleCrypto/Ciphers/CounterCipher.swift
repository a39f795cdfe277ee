internal import COpenSSL
internal import KapsuleCore

/// AES-256-CTR from any place of the stream on: encrypting and decrypting are the same.
///
/// The counter is all 16 bytes of the block, big-endian, with carry throughout.
///
/// Source: NIST SP 800-38A, 6.5.
@safe
public struct CounterCipher: ~Copyable {
    public static let keySize = 32
    public static let blockSize = 16
    private static let algorithm = FetchedCipher("AES-256-CTR")

    private let context = CipherContext()

    /// - Parameters:
    ///   - counter: the first block's, 16 bytes.
    ///   - offset: of the first byte that will come, from the start of the stream.
    public init(key: SecretBytes, counter: Span<UInt8>, at offset: Int64 = 0) {
        precondition(key.count == Self.keySize && counter.count == Self.blockSize, "AES-256-CTR has such sizes")
        let start = Self.advance(counter, by: UInt64(offset / Int64(Self.blockSize)))
        let result = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe EVP_CipherInit_ex2(context.pointer, Self.algorithm.pointer, key.baseAddress, start, 1, nil)
            }
        }
        precondition(result == 1, "libcrypto cannot start AES-256-CTR")
        let skipped = Int(offset % Int64(Self.blockSize))
        if skipped > 0 {
            let zeros = [UInt8](repeating: 0, count: skipped)
            var dropped = zeros
            var span = dropped.mutableSpan
            apply(zeros.span, into: &span)
        }
    }

    /// `counter` + `blocks`, modulo 2^128.
    private static func advance(_ counter: Span<UInt8>, by blocks: UInt64) -> [UInt8] {
        var sum = counter.indices.map { counter[$0] }
        var left = blocks
        var carry: UInt64 = 0
        for index in sum.indices.reversed() {
            let value = UInt64(sum[index]) + (left & 0xFF) + carry
            sum[index] = UInt8(truncatingIfNeeded: value)
            carry = value >> 8
            left >>= 8
        }
        return sum
    }

    /// The next bytes of the stream, into the front of `output`.
    ///
    /// - Precondition: `output` has room for them.
    public mutating func apply(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) {
        precondition(output.count >= input.count && input.count <= Int(Int32.max), "every byte has its place")
        guard !input.isEmpty else { return }
        // Bounds: `input.count` bytes are read and written, as checked above.
        let result = unsafe input.withUnsafeBufferPointer { input in
            unsafe output.withUnsafeMutableBufferPointer { output in
                var written: Int32 = 0
                return unsafe EVP_CipherUpdate(
                    context.pointer, output.baseAddress, &written, input.baseAddress, Int32(input.count))
            }
        }
        precondition(result == 1, "libcrypto cannot go on with AES-256-CTR")
    }
}
