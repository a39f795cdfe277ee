internal import CSHA256
public import KapsuleCore

/// A running SHA-256 that is a plain value: it can be copied, kept, and gone on with from any of its copies.
///
/// `SHA256Hasher` hashes as fast; this one exists because two of them can be advanced together (`TwinSHA256`).
@safe
public struct RunningSHA256: Sendable {
    static let blockSize = 64

    // FIPS 180-4's eight words, and the bytes behind the last whole block.
    private var state: InlineArray<8, UInt32>
    private var pending: InlineArray<64, UInt8>
    private var pendingCount = 0
    /// Bytes so far.
    public private(set) var count: Int64 = 0
    private let kernel: SHA256Kernel

    public init(kernel: SHA256Kernel = .fastestStream) {
        precondition(kernel.isAvailable && kernel.hashesStreams, "a stream needs a kernel for streams")
        self.kernel = kernel
        state = .init(repeating: 0)
        pending = .init(repeating: 0)
        restart()
    }

    private mutating func restart() {
        var span = state.mutableSpan
        unsafe span.withUnsafeMutableBufferPointer { unsafe kapsule_sha256_start($0.baseAddress) }
        pendingCount = 0
        count = 0
    }

    public mutating func update(_ bytes: Span<UInt8>) {
        let front = fill(from: bytes)
        let blocks = (bytes.count - front) / Self.blockSize
        compress(bytes.extracting(front..<front + blocks * Self.blockSize))
        keep(bytes.extracting(droppingFirst: front + blocks * Self.blockSize))
    }

    /// Advances both hashes over the same bytes, together where both have whole blocks to go over.
    public static func update(_ first: inout RunningSHA256, _ second: inout RunningSHA256, with bytes: Span<UInt8>) {
        let firstFront = first.fill(from: bytes)
        let secondFront = second.fill(from: bytes)
        // The two may stand at different places in their blocks, so they read from different places.
        let shared = (bytes.count - max(firstFront, secondFront)) / blockSize * blockSize
        compressTwo(
            &first, bytes.extracting(firstFront..<firstFront + shared),
            &second, bytes.extracting(secondFront..<secondFront + shared))
        first.updateAligned(bytes.extracting(droppingFirst: firstFront + shared))
        second.updateAligned(bytes.extracting(droppingFirst: secondFront + shared))
    }

    /// The digest of all bytes so far; the hash starts anew.
    public mutating func finalize() -> Digest {
        let bits = UInt64(count) * 8
        // A bit, zeros up to eight bytes before the end of a block, the length. FIPS 180-4, 5.1.1.
        let zeros = (Self.blockSize * 2 - 9 - pendingCount) % Self.blockSize
        var padding: [UInt8] = [0x80] + [UInt8](repeating: 0, count: zeros)
        for shift in stride(from: 56, through: 0, by: -8) { padding.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        update(padding.span)
        let words = state
        func pair(_ index: Int) -> UInt64 { UInt64(words[index]) << 32 | UInt64(words[index + 1]) }
        restart()
        return Digest(bigEndianWords: (pair(0), pair(2), pair(4), pair(6)))
    }

    // MARK: Machinery

    /// Completes a block that was begun, if any. Returns how many of `bytes` it took; when those do not complete the
    /// block, all of them.
    private mutating func fill(from bytes: Span<UInt8>) -> Int {
        count += Int64(bytes.count)
        guard pendingCount > 0 else { return 0 }
        let taken = min(Self.blockSize - pendingCount, bytes.count)
        for index in 0..<taken { pending[pendingCount + index] = bytes[index] }
        pendingCount += taken
        if pendingCount == Self.blockSize {
            pendingCount = 0
            let block = pending
            compress(block.span)
        }
        return taken
    }

    /// Goes over bytes that begin where a block does.
    private mutating func updateAligned(_ bytes: Span<UInt8>) {
        let whole = bytes.count / Self.blockSize * Self.blockSize
        compress(bytes.extracting(first: whole))
        keep(bytes.extracting(droppingFirst: whole))
    }

    private mutating func keep(_ bytes: Span<UInt8>) {
        guard !bytes.isEmpty else { return }
        for index in bytes.indices { pending[pendingCount + index] = bytes[index] }
        pendingCount += bytes.count
    }

    /// - Precondition: `bytes` is whole blocks.
    private mutating func compress(_ bytes: Span<UInt8>) {
        guard !bytes.isEmpty else { return }
        let kernel = kernel.rawValue
        var span = state.mutableSpan
        unsafe span.withUnsafeMutableBufferPointer { state in
            unsafe bytes.withUnsafeBufferPointer { bytes in
                unsafe kapsule_sha256_compress(
                    kernel, state.baseAddress, bytes.baseAddress, bytes.count / Self.blockSize)
            }
        }
    }

    /// - Precondition: both are whole blocks, and equally many.
    private static func compressTwo(
        _ first: inout RunningSHA256, _ firstBytes: Span<UInt8>,
        _ second: inout RunningSHA256, _ secondBytes: Span<UInt8>
    ) {
        guard !firstBytes.isEmpty else { return }
        let kernel = first.kernel.rawValue
        var firstState = first.state.mutableSpan
        var secondState = second.state.mutableSpan
        unsafe firstState.withUnsafeMutableBufferPointer { firstState in
            unsafe secondState.withUnsafeMutableBufferPointer { secondState in
                unsafe firstBytes.withUnsafeBufferPointer { firstBytes in
                    unsafe secondBytes.withUnsafeBufferPointer { secondBytes in
                        unsafe kapsule_sha256_compress_two(
                            kernel, firstState.baseAddress, firstBytes.baseAddress, secondState.baseAddress,
                            secondBytes.baseAddress, firstBytes.count / blockSize)
                    }
                }
            }
        }
    }
}

/// Two running hashes fed from the same bytes at nearly the price of one: a file's digest, and the digest of the archive
/// that the file is a part of.
///
/// Each can also be fed alone, before, between and after, and the two need not stand at the same place in their blocks:
///
/// ```swift
/// var twin = TwinSHA256()
/// twin.updateSecond(header.span)         // the archive's header, which is no part of the file
/// twin.update(block)                     // for every block of the file: both
/// let file = twin.finalizeFirst()        // the first hash starts anew, for the next file
/// twin.updateSecond(padding.span)
/// let archive = twin.finalizeSecond()
/// ```
public struct TwinSHA256: Sendable {
    public private(set) var first: RunningSHA256
    public private(set) var second: RunningSHA256

    public init(first: RunningSHA256 = .init(), second: RunningSHA256 = .init()) {
        self.first = first
        self.second = second
    }

    /// Advances both.
    public mutating func update(_ bytes: Span<UInt8>) { RunningSHA256.update(&first, &second, with: bytes) }
    public mutating func updateFirst(_ bytes: Span<UInt8>) { first.update(bytes) }
    public mutating func updateSecond(_ bytes: Span<UInt8>) { second.update(bytes) }

    /// The digest of all bytes that the first hash has seen; it starts anew.
    public mutating func finalizeFirst() -> Digest { first.finalize() }
    /// The digest of all bytes that the second hash has seen; it starts anew.
    public mutating func finalizeSecond() -> Digest { second.finalize() }
}
