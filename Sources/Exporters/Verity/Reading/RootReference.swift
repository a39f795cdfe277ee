public import KapsuleCore
public import KapsuleCrypto

/// Which image is meant: its root hash, and what stands behind it in a reference `ROOTHASH_OFFSET_UUID`.
public struct RootReference: Sendable, Hashable {
    public var root: Digest
    /// Where the hash area begins, and the data ends. In bytes; a multiple of 4096.
    public var hashOffset: Int64?
    /// Of the image, or of the partition where the reference is an encrypted disk's.
    public var uuid: UUIDBytes?

    public init(root: Digest, hashOffset: Int64? = nil, uuid: UUIDBytes? = nil) {
        self.root = root
        self.hashOffset = hashOffset
        self.uuid = uuid
    }

    /// Reads `ROOTHASH`, `ROOTHASH_OFFSET` or `ROOTHASH_OFFSET_UUID`.
    ///
    /// - Throws: `.usage` for anything else.
    public init(parsing text: String) throws {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
        guard let root = Digest(hex: parts[0].lowercased()), parts.count <= 3 else { throw Self.refusal(text) }
        self.root = root
        if parts.count > 1 {
            guard let offset = Self.offset(parts[1]) else { throw Self.refusal(text) }
            hashOffset = offset
        }
        if parts.count > 2 {
            guard let uuid = UUIDBytes(parsing: parts[2]) else { throw Self.refusal(text) }
            self.uuid = uuid
        }
    }

    /// A positive multiple of 4096; nil for any other text.
    public static func offset(_ text: String) -> Int64? {
        guard let value = Int64(text), value > 0, value % 4096 == 0, text.allSatisfy(\.isNumber) else { return nil }
        return value
    }

    private static func refusal(_ text: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "verity.reference", "'\(text.prefix(200))' is no root hash and no reference",
            remedy: "write 64 hex digits, or ROOTHASH_OFFSET_UUID as 'kapsule build --format verity' prints it")
    }
}
