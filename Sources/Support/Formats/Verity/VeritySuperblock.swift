internal import KapsuleCore
public import KapsuleCrypto

/// The block that describes a hash tree to tools. Nobody who has a root hash needs it, and nobody should trust it.
///
/// Source: cryptsetup `docs/on-disk-format-verity` (wiki page DMVerity), "Verity superblock format".
public struct VeritySuperblock: Sendable, Hashable {
    public static let maximumSaltSize = 256
    private static let signature = Array("verity\0\0".utf8)
    private static let algorithm = Array("sha256".utf8)

    public var uuid: UUIDBytes
    /// Hashed in front of every block.
    public var salt: [UInt8]
    public var dataBlocks: Int64

    /// - Precondition: `salt` has at most 256 bytes.
    public init(uuid: UUIDBytes, salt: [UInt8], dataBlocks: Int64) {
        precondition(salt.count <= Self.maximumSaltSize, "a salt has at most 256 bytes")
        self.uuid = uuid
        self.salt = salt
        self.dataBlocks = dataBlocks
    }

    /// A whole block of 4096 bytes.
    public func encode() -> [UInt8] {
        var block = [UInt8](repeating: 0, count: VerityGeometry.blockSize)
        block.put(Self.signature, at: 0)
        block.put(UInt32(1), at: 8)  // version of the superblock
        block.put(UInt32(1), at: 12)  // hash type: salt in front of the block
        block.put(uuid.bytes, at: 16)
        block.put(Self.algorithm, at: 32)
        block.put(UInt32(VerityGeometry.blockSize), at: 64)
        block.put(UInt32(VerityGeometry.blockSize), at: 68)
        block.put(dataBlocks, at: 72)
        block.put(UInt16(salt.count), at: 80)
        block.put(salt, at: 88)
        return block
    }

    /// Reads what `encode` writes; refuses other algorithms and block sizes.
    ///
    /// - Throws: `.unverified` for anything else.
    public init(decoding block: [UInt8]) throws {
        func refuse(_ why: String) -> KapsuleError {
            KapsuleError(.unverified, id: "verity.superblock", "the verity superblock cannot be read: it \(why)")
        }
        guard block.count >= 88 + Self.maximumSaltSize, block.starts(with: Self.signature) else {
            throw refuse("does not begin with 'verity'")
        }
        guard block.get(UInt32.self, at: 8) == 1, block.get(UInt32.self, at: 12) == 1 else {
            throw refuse("has another version than 1 or another hash type than 1")
        }
        let algorithm = block[32..<64].prefix { $0 != 0 }
        guard Array(algorithm) == Self.algorithm else { throw refuse("has another hash than sha256") }
        let blockSize = UInt32(VerityGeometry.blockSize)
        guard block.get(UInt32.self, at: 64) == blockSize, block.get(UInt32.self, at: 68) == blockSize else {
            throw refuse("has blocks of another size than 4096 bytes")
        }
        let dataBlocks = block.get(Int64.self, at: 72)
        let saltSize = Int(block.get(UInt16.self, at: 80))
        guard dataBlocks > 0, saltSize <= Self.maximumSaltSize else { throw refuse("has an impossible length in it") }
        self.init(
            uuid: UUIDBytes(bytes: Array(block[16..<32])), salt: Array(block[88..<88 + saltSize]),
            dataBlocks: dataBlocks)
    }
}
