internal import COpenSSL

/// The half of a key that may be known to all.
public struct PublicKey: Sendable {
    let handle: KeyHandle
    public let kind: KeyKind

    init(_ handle: KeyHandle) {
        self.handle = handle
        kind = handle.kind
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280, 4.1) with nothing behind it. Nil for anything else, and for a point that
    /// is not on its curve.
    public init?(subjectPublicKeyInfo der: [UInt8]) {
        let key = unsafe der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var start = buffer.baseAddress
            let key = unsafe d2i_PUBKEY(nil, &start, buffer.count)
            // Bounds: both pointers are into `buffer`.
            if let key = unsafe key, let first = buffer.baseAddress, unsafe start == first + buffer.count {
                return unsafe key
            }
            unsafe EVP_PKEY_free(key)
            return nil
        }
        ERR_clear_error()
        guard let key = unsafe key else { return nil }
        unsafe self.init(KeyHandle(key))
    }

    /// The SubjectPublicKeyInfo.
    public var subjectPublicKeyInfo: [UInt8] {
        guard let der = unsafe KeyHandle.encoded({ unsafe i2d_PUBKEY(handle.pointer, $0) }) else {
            fatalError("libcrypto cannot encode a key that it holds")
        }
        return der
    }

    /// - Returns: nil when the key is not RSA, or too short for that much.
    public func encrypt(_ secret: SecretBytes, _ padding: RSAPadding) -> [UInt8]? {
        guard case .rsa = kind else { return nil }
        return secret.withSpan { handle.rsa(.encrypt, $0, padding) }
    }

    /// The point of a key on a curve: x and y, each padded at the left to the curve's field size.
    public var coordinates: (x: [UInt8], y: [UInt8])? {
        guard case .ec(let curve) = kind, let x = coordinate("qx", curve), let y = coordinate("qy", curve) else {
            return nil
        }
        return (x, y)
    }

    private func coordinate(_ name: String, _ curve: KeyKind.Curve) -> [UInt8]? {
        var number: OpaquePointer?
        guard unsafe EVP_PKEY_get_bn_param(handle.pointer, name, &number) == 1 else { return nil }
        defer { unsafe BN_free(number) }
        var bytes = [UInt8](repeating: 0, count: curve.fieldSize)
        // Bounds: `fieldSize` bytes, padded.
        guard unsafe BN_bn2binpad(number, &bytes, Int32(bytes.count)) == bytes.count else { return nil }
        return bytes
    }
}
