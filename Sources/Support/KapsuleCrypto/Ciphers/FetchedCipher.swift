internal import COpenSSL

/// A cipher of libcrypto's default provider, held for the life of the process.
// Immutable after `EVP_CIPHER_fetch`, and libcrypto documents fetched algorithms as safe to share between threads.
@safe
struct FetchedCipher: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ name: String) {
        guard let pointer = unsafe EVP_CIPHER_fetch(nil, name, nil) else {
            fatalError("libcrypto has no \(name): its default provider is not loaded")
        }
        unsafe self.pointer = pointer
    }
}

/// One run of a cipher. Closed, and its key schedule wiped, with the value.
@safe
struct CipherContext: ~Copyable {
    let pointer: OpaquePointer

    init() {
        guard let pointer = unsafe EVP_CIPHER_CTX_new() else { fatalError("libcrypto has no memory for a cipher") }
        unsafe self.pointer = pointer
    }

    deinit { unsafe EVP_CIPHER_CTX_free(pointer) }
}
