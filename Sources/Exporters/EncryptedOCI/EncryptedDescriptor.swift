internal import Encryption
internal import KapsuleCore
internal import OCI

/// What a manifest says of a layer that was encrypted.
enum EncryptedDescriptor {
    /// - Parameter plain: digest of the bytes that were encrypted, where known.
    static func of(
        _ descriptor: Descriptor, _ stored: StoredLayer, for recipients: RecipientSet, plain: Digest?
    ) throws -> Descriptor {
        guard let sealed = stored.sealed else {
            throw KapsuleError(.defect, id: "encryption.uncovered", "a layer would have been stored in plaintext")
        }
        var descriptor = descriptor
        descriptor.mediaType = EncryptedType.of(descriptor.mediaType)
        descriptor.digest = sealed.artifact.digest
        descriptor.size = sealed.artifact.size
        descriptor.annotations.merge(try sealed.annotations(for: recipients, plain: plain)) { $1 }
        return descriptor
    }

    /// A layer that fits in memory.
    static func encrypting(
        _ bytes: [UInt8], _ descriptor: Descriptor, for recipients: RecipientSet
    ) throws -> (Descriptor, [UInt8]) {
        var encryptor = LayerEncryptor(MemorySink())
        try encryptor.write(bytes.span)
        let stored = StoredLayer(blob: descriptor.artifact, sealed: encryptor.finish())
        return (try of(descriptor, stored, for: recipients, plain: descriptor.digest), encryptor.next.bytes)
    }
}
