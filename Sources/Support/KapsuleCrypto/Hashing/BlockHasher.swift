internal import CSHA256

/// Hashes many blocks of one length, each behind the same prefix: several at once, as the processor can.
///
/// A value without state of its own; any number of threads may use the same one.
///
/// Source: FIPS 180-4; Linux `Documentation/admin-guide/device-mapper/verity.rst`, hash format 1, for salt then block.
@safe
public struct BlockHasher: Sendable {
    /// Length of a digest, in bytes.
    public static let digestSize = 32

    /// What is hashed in front of every block.
    public let prefix: [UInt8]
    /// Length of a block, in bytes.
    public let blockSize: Int
    public let kernel: SHA256Kernel

    public init(prefix: [UInt8] = [], blockSize: Int = 4096, kernel: SHA256Kernel = .fastest) {
        precondition(blockSize > 0, "a block holds something")
        precondition(kernel.isAvailable, "a kernel runs only where the processor has it")
        self.prefix = prefix
        self.blockSize = blockSize
        self.kernel = kernel
    }

    /// Puts the digest of each block of `blocks` at its place in `digests`, 32 bytes each.
    ///
    /// - Precondition: `blocks` is whole blocks, and `digests` has room for exactly their digests.
    public func hash(_ blocks: Span<UInt8>, into digests: inout MutableSpan<UInt8>) {
        let count = blocks.count / blockSize
        precondition(blocks.count == count * blockSize, "only whole blocks are hashed")
        precondition(digests.count == count * Self.digestSize, "every digest has its place")
        guard count > 0 else { return }
        // Bounds: `count` blocks are read and `count` digests written, as checked above.
        unsafe prefix.withUnsafeBufferPointer { prefix in
            unsafe blocks.withUnsafeBufferPointer { blocks in
                unsafe digests.withUnsafeMutableBufferPointer { digests in
                    unsafe kapsule_sha256_many(
                        kernel.rawValue, prefix.baseAddress, prefix.count, blocks.baseAddress, blockSize, count,
                        digests.baseAddress)
                }
            }
        }
    }

    /// The digests of `blocks`, one after another.
    public func hash(_ blocks: Span<UInt8>) -> [UInt8] {
        var digests = [UInt8](repeating: 0, count: blocks.count / blockSize * Self.digestSize)
        var span = digests.mutableSpan
        hash(blocks, into: &span)
        return digests
    }
}
