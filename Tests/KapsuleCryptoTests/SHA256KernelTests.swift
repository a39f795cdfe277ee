import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct SHA256KernelTests {
    static let kernels = SHA256Kernel.allCases.filter(\.isAvailable)
    static let streamKernels = kernels.filter(\.hashesStreams)

    /// Prefixes around the block length and the salt lengths of dm-verity.
    static let prefixLengths = [0, 1, 8, 32, 55, 63, 64, 65, 127, 128, 256]

    @Test(arguments: kernels, [1, 55, 56, 63, 64, 100, 4095, 4096])
    func everyKernelEqualsLibcrypto(_ kernel: SHA256Kernel, _ blockSize: Int) {
        var random = SeededGenerator(seed: UInt64(blockSize))
        for prefixLength in Self.prefixLengths {
            // One more than the widest kernel takes at once, so that a group is left incomplete.
            let blocks = random.bytes(17 * blockSize)
            let prefix = random.bytes(prefixLength)
            let digests = BlockHasher(prefix: prefix, blockSize: blockSize, kernel: kernel).hash(blocks.span)
            for index in 0..<17 {
                let expected = Digest.of(prefix + blocks[index * blockSize..<(index + 1) * blockSize]).bytes
                #expect(Array(digests[index * 32..<index * 32 + 32]) == expected, "prefix \(prefixLength), \(index)")
            }
        }
    }

    @Test(arguments: kernels)
    func anyNumberOfBlocksFitsAnyKernel(_ kernel: SHA256Kernel) {
        var random = SeededGenerator(seed: 7)
        let blocks = random.bytes(40 * 64)
        let one = BlockHasher(prefix: [0], blockSize: 64, kernel: .portable).hash(blocks.span)
        let hasher = BlockHasher(prefix: [0], blockSize: 64, kernel: kernel)
        for count in 0...40 {
            #expect(hasher.hash(blocks.span.extracting(first: count * 64)) == Array(one.prefix(count * 32)))
        }
    }

    @Test(arguments: streamKernels)
    func aRunningHashEqualsLibcrypto(_ kernel: SHA256Kernel) {
        var random = SeededGenerator(seed: 11)
        var hash = RunningSHA256(kernel: kernel)
        for count in Array(0...130) + [4095, 4096, 4097] {
            let bytes = random.bytes(count)
            hash.update(bytes.span)
            #expect(hash.finalize() == Digest.of(bytes), "\(count) bytes")
        }
    }

    @Test func aRunningHashIsAValue() {
        var hash = RunningSHA256()
        hash.update(Array("ab".utf8).span)
        var copy = hash
        copy.update(Array("c".utf8).span)
        #expect(copy.finalize() == Digest.of("abc"))
        #expect(hash.count == 2)
        #expect(hash.finalize() == Digest.of("ab"))
    }

    /// A file inside an archive: the archive's hash has seen a prefix, and both get the file in pieces of any length.
    @Test(arguments: streamKernels, [0, 1, 63, 64, 512, 1000])
    func twinsEqualLibcryptoHoweverTheBytesAreCut(_ kernel: SHA256Kernel, _ prefixLength: Int) {
        var random = SeededGenerator(seed: UInt64(prefixLength + 1))
        for _ in 0..<20 {
            let prefix = random.bytes(prefixLength)
            let padding = random.bytes(Int.random(in: 0...700, using: &random))
            let file = random.bytes(Int.random(in: 0...5000, using: &random))
            var twin = TwinSHA256(first: .init(kernel: kernel), second: .init(kernel: kernel))
            twin.updateSecond(prefix.span)
            var rest = file[...]
            while !rest.isEmpty {
                let piece = Array(rest.prefix(Int.random(in: 1...300, using: &random)))
                twin.update(piece.span)
                rest = rest.dropFirst(piece.count)
            }
            #expect(twin.finalizeFirst() == Digest.of(file))
            twin.updateSecond(padding.span)
            #expect(twin.finalizeSecond() == Digest.of(prefix + file + padding))
        }
    }
}
