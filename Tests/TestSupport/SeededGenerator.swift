internal import Foundation

/// Random numbers that a seed gives again: a failing run is repeated with `KAPSULE_TEST_SEED`.
///
/// Source: SplitMix64, Steele, Lea and Flood 2014.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    /// `KAPSULE_TEST_SEED`, or a new one.
    public static var campaignSeed: UInt64 {
        ProcessInfo.processInfo.environment["KAPSULE_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: .min ... .max)
    }

    /// `KAPSULE_FUZZ_ITERATIONS`, or `usual`.
    public static func campaignRounds(_ usual: Int) -> Int {
        ProcessInfo.processInfo.environment["KAPSULE_FUZZ_ITERATIONS"].flatMap { Int($0) } ?? usual
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    public mutating func bytes(_ count: Int) -> [UInt8] {
        // Word by word: tests are built without optimisation, and ask for megabytes.
        var bytes = [UInt8](repeating: 0, count: (count + 7) / 8 * 8)
        unsafe bytes.withUnsafeMutableBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                unsafe bytes.storeBytes(of: next().littleEndian, toByteOffset: offset, as: UInt64.self)
                offset += 8
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
