internal import COpenSSL

/// A UUID: 16 bytes in the order of its text.
public struct UUIDBytes: Sendable, Hashable, CustomStringConvertible {
    /// Exactly 16.
    public let bytes: [UInt8]

    /// All zeros.
    public static let zero = UUIDBytes(bytes: Array(repeating: 0, count: 16))
    /// The name space of URLs. Source: RFC 9562, 6.6.
    public static let urlNamespace = UUIDBytes(parsing: "6ba7b811-9dad-11d1-80b4-00c04fd430c8") ?? .zero

    /// - Precondition: `bytes` holds exactly 16 bytes.
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 16, "a UUID has 16 bytes")
        self.bytes = bytes
    }

    /// Reads the text form, in either case: 8-4-4-4-12 hex digits.
    public init?(parsing text: some StringProtocol) {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.map(\.count) == [8, 4, 4, 4, 12] else { return nil }
        var digits: [UInt8] = []
        for digit in parts.joined() {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            digits.append(UInt8(value))
        }
        bytes = stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// The UUID that `name` has in `namespace`. Source: RFC 9562, 5.5, version 5.
    public init(name: String, in namespace: UUIDBytes = .urlNamespace) {
        var hash = OneShotDigest.sha1(namespace.bytes + Array(name.utf8))
        hash.removeLast(hash.count - 16)
        hash[6] = hash[6] & 0x0F | 0x50
        hash[8] = hash[8] & 0x3F | 0x80
        bytes = hash
    }

    /// 36 characters, lower case.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append(UInt8(ascii: "-")) }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Hashes that names and identifiers are made with, and nothing that security rests on.
enum OneShotDigest {
    private static let sha1Algorithm = FetchedDigest("SHA1")

    static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        let result = unsafe EVP_Digest(bytes, bytes.count, &digest, nil, sha1Algorithm.pointer, nil)
        precondition(result == 1, "libcrypto cannot compute SHA-1")
        return digest
    }
}
