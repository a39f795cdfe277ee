/// Cyclic redundancy checks of 32 bits, bit-reflected, by a table of 256 entries.
///
/// For records of a few kilobytes; not for streams.
struct CRC32: Sendable {
    /// CRC-32 of Ethernet and zip: the partition table's. Source: UEFI specification 2.10, 5.3.2.
    static let ethernet = CRC32(polynomial: 0xEDB8_8320)
    /// CRC-32C: the EROFS superblock's. Source: RFC 3720, appendix B.4, for the polynomial.
    static let castagnoli = CRC32(polynomial: 0x82F6_3B78)

    let start: UInt32 = 0xFFFF_FFFF
    private let table: [UInt32]

    /// - Parameter polynomial: with its bits reversed.
    init(polynomial: UInt32) {
        table = (0..<256).map { byte in
            (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ polynomial }
        }
    }

    /// Goes on from `value`, which begins as `start`. The usual final inversion is the caller's.
    func update(_ value: inout UInt32, _ bytes: Span<UInt8>) {
        for index in bytes.indices { value = table[Int(UInt8(truncatingIfNeeded: value) ^ bytes[index])] ^ value >> 8 }
    }

    /// The check of `bytes`, finally inverted.
    func of(_ bytes: [UInt8]) -> UInt32 {
        var value = start
        update(&value, bytes.span)
        return ~value
    }
}
