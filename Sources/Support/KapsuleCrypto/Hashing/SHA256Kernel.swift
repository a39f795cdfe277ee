internal import CSHA256

/// The ways in which this process can hash. All give the same digests; they differ in speed only.
public enum SHA256Kernel: Int32, Sendable, CaseIterable {
    /// One message at a time, in C.
    case portable
    /// Eight messages at once.
    case avx2
    /// Two messages at once, by the x86 SHA extensions.
    case shaNI
    /// Two messages at once, by the Armv8 cryptography extensions.
    case arm
    /// Sixteen messages at once.
    case avx512

    /// Whether this processor, under this operating system, can run it.
    public var isAvailable: Bool { kapsule_sha256_available(rawValue) != 0 }

    /// The fastest one for many messages of equal length.
    public static let fastest = SHA256Kernel(rawValue: kapsule_sha256_best()) ?? .portable
    /// The fastest one for one or two streams: `portable`, `shaNI` or `arm`.
    public static let fastestStream = SHA256Kernel(rawValue: kapsule_sha256_best_stream()) ?? .portable

    /// Whether it can advance a single stream.
    public var hashesStreams: Bool {
        switch self {
        case .portable, .shaNI, .arm: true
        case .avx2, .avx512: false
        }
    }
}
