internal import COpenSSL

/// What a key is good for here.
public enum KeyKind: Sendable, Hashable, CustomStringConvertible {
    case rsa(bits: Int)
    case ec(Curve)
    /// Anything else, as libcrypto names it.
    case other(String)

    public enum Curve: String, Sendable, Hashable, CaseIterable {
        case p256 = "P-256"
        case p384 = "P-384"
        case p521 = "P-521"

        /// Bytes of a coordinate.
        public var fieldSize: Int {
            switch self {
            case .p256: 32
            case .p384: 48
            case .p521: 66
            }
        }

        /// As libcrypto names it. Source: RFC 5480, 2.1.1.1.
        var groupName: String {
            switch self {
            case .p256: "prime256v1"
            case .p384: "secp384r1"
            case .p521: "secp521r1"
            }
        }
    }

    public var description: String {
        switch self {
        case .rsa(let bits): "RSA-\(bits)"
        case .ec(let curve): "EC \(curve.rawValue)"
        case .other(let name): name
        }
    }
}

/// A key of libcrypto's, freed with the value.
// libcrypto documents keys that are no longer changed as safe to share between threads.
@safe
final class KeyHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

    deinit { unsafe EVP_PKEY_free(pointer) }

    var kind: KeyKind {
        if unsafe EVP_PKEY_is_a(pointer, "RSA") == 1 { return .rsa(bits: Int(unsafe EVP_PKEY_get_bits(pointer))) }
        guard unsafe EVP_PKEY_is_a(pointer, "EC") == 1 else {
            return .other(unsafe EVP_PKEY_get0_type_name(pointer).map { unsafe String(cString: $0) } ?? "unknown")
        }
        var name = [CChar](repeating: 0, count: 80)
        var count = 0
        // Bounds: at most `name.count` bytes are written, and the last is zero.
        guard unsafe EVP_PKEY_get_utf8_string_param(pointer, "group", &name, name.count, &count) == 1 else {
            return .other("EC with parameters of its own")
        }
        let group = String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return KeyKind.Curve.allCases.first { $0.groupName == group }.map(KeyKind.ec) ?? .other("EC \(group)")
    }

    /// What libcrypto encodes; nil when it cannot.
    static func encoded(_ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8]? {
        var start: UnsafeMutablePointer<UInt8>?
        let count = unsafe encode(&start)
        guard count > 0, let start = unsafe start else { return nil }
        // Bounds: libcrypto allocated `count` bytes. They may be a private key, so they are wiped there.
        defer { unsafe CRYPTO_clear_free(start, Int(count), #file, #line) }
        return unsafe Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }
}

/// How RSA hides what it encrypts.
public enum RSAPadding: Sendable, Hashable {
    /// OAEP, the mask generated with the same hash, no label. Source: RFC 8017, 7.1.
    case oaepSHA1, oaepSHA256
    /// Source: RFC 8017, 7.2.
    case pkcs1
}

extension KeyHandle {
    enum Operation { case encrypt, decrypt }

    /// - Returns: nil when libcrypto refuses.
    func rsa(_ operation: Operation, _ input: Span<UInt8>, _ padding: RSAPadding) -> [UInt8]? {
        defer { ERR_clear_error() }
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, pointer, nil) else { return nil }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        let encrypts = operation == .encrypt
        guard unsafe (encrypts ? EVP_PKEY_encrypt_init(context) : EVP_PKEY_decrypt_init(context)) == 1,
            unsafe Self.set(padding, on: context)
        else { return nil }
        var count = Int(unsafe EVP_PKEY_get_size(pointer))
        var output = [UInt8](repeating: 0, count: count)
        let result = unsafe input.withUnsafeBufferPointer { input in
            // Bounds: an RSA operation gives at most the size of the key.
            unsafe encrypts
                ? EVP_PKEY_encrypt(context, &output, &count, input.baseAddress, input.count)
                : EVP_PKEY_decrypt(context, &output, &count, input.baseAddress, input.count)
        }
        guard result == 1 else {
            SecretBytes.wipe(&output)
            return nil
        }
        output.removeLast(output.count - count)
        return output
    }

    private static func set(_ padding: RSAPadding, on context: OpaquePointer) -> Bool {
        switch padding {
        case .pkcs1: return unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1
        case .oaepSHA1, .oaepSHA256:
            let hash = unsafe padding == .oaepSHA1 ? EVP_sha1() : EVP_sha256()
            return unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_oaep_md(context, hash) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) == 1
        }
    }
}
