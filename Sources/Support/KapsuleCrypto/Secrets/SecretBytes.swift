internal import COpenSSL

/// Bytes that are wiped from memory when nobody needs them any more.
// Written once, in an initialiser, and only read after.
@safe
public final class SecretBytes: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<UInt8>
    public let count: Int

    /// Zeros, for `fill` to replace.
    public init(count: Int, _ fill: (inout MutableSpan<UInt8>) throws -> Void) rethrows {
        self.count = count
        unsafe pointer = .allocate(capacity: max(1, count))
        unsafe pointer.initialize(repeating: 0, count: max(1, count))
        // Bounds: `count` bytes were allocated above.
        var span = unsafe MutableSpan(_unsafeStart: pointer, count: count)
        try fill(&span)
    }

    public convenience init(copying bytes: Span<UInt8>) {
        self.init(count: bytes.count) { for index in bytes.indices { $0[index] = bytes[index] } }
    }

    /// Takes over what is in `bytes`, and wipes it there. Copies that others hold stay.
    public convenience init(taking bytes: inout [UInt8]) {
        self.init(copying: bytes.span)
        Self.wipe(&bytes)
    }

    /// From the system's source of randomness.
    public static func random(count: Int) -> SecretBytes {
        SecretBytes(count: count) { Randomness.fill(&$0) }
    }

    deinit {
        unsafe OPENSSL_cleanse(pointer, count)
        unsafe pointer.deallocate()
    }

    public func withSpan<T>(_ body: (Span<UInt8>) throws -> T) rethrows -> T {
        // Bounds: `count` bytes were allocated in the initialiser, and live as long as `self`.
        try body(unsafe Span(_unsafeStart: UnsafePointer(pointer), count: count))
    }

    /// Zeros in place of what is there, and then nothing.
    public static func wipe(_ bytes: inout [UInt8]) {
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { unsafe OPENSSL_cleanse(start, buffer.count) }
        }
        bytes = []
    }

    /// A copy that is not wiped: for what hands bytes on at once.
    public var bytes: [UInt8] {
        withSpan { span in span.indices.map { span[$0] } }
    }
}

/// The system's source of randomness.
public enum Randomness {
    public static func fill(_ bytes: inout MutableSpan<UInt8>) {
        let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            unsafe RAND_priv_bytes(buffer.baseAddress, Int32(buffer.count))
        }
        precondition(result == 1, "libcrypto has no randomness")
    }

    public static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        fill(&span)
        return bytes
    }
}

/// Comparison in a time that says nothing of where two values differ.
public enum ConstantTime {
    public static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for index in a.indices { difference |= a[index] ^ b[index] }
        return difference == 0
    }
}
