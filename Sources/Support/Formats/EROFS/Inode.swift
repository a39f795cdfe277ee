extension EROFS {
    /// An inode: 32 bytes, or 64 for a size of 2^32 bytes and more. All fields little-endian.
    ///
    /// Source: Linux `fs/erofs/erofs_fs.h`, struct erofs_inode_compact and erofs_inode_extended.
    struct Inode: Sendable {
        static let compactSize = 32
        static let extendedSize = 64

        enum DataLayout: UInt16, Sendable {
            /// All data in whole blocks.
            case plain = 0
            /// The last `size % 4096` bytes follow the inode.
            case inlineTail = 2
        }

        var dataLayout: DataLayout
        /// Type and permissions.
        var mode: UInt16
        var links: UInt32
        var size: Int64
        /// First data block; of a device, its number.
        var startBlock: UInt32
        var serial: UInt32

        var isExtended: Bool

        /// Whether an inode for `size` bytes of content has the long form.
        static func isExtended(_ size: Int64, _ profile: Profile) -> Bool {
            profile.extendsInodes || size > Int64(UInt32.max)
        }

        /// Bytes of the inode for `size` bytes of content.
        static func size(ofContent size: Int64, _ profile: Profile) -> Int {
            isExtended(size, profile) ? extendedSize : compactSize
        }

        /// The record: 32 or 64 bytes. Owner and times are zero.
        func encode() -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: isExtended ? Self.extendedSize : Self.compactSize)
            bytes.put(dataLayout.rawValue << 1 | (isExtended ? 1 : 0), at: 0)
            bytes.put(mode, at: 4)
            bytes.put(startBlock, at: 16)
            bytes.put(serial, at: 20)
            if isExtended {
                bytes.put(size, at: 8)
                bytes.put(links, at: 44)
            } else {
                bytes.put(UInt16(links), at: 6)
                bytes.put(UInt32(size), at: 8)
            }
            return bytes
        }

        /// The number of a device node. Source: Linux `include/linux/kdev_t.h`, new_encode_dev.
        static func deviceNumber(major: UInt32, minor: UInt32) -> UInt32 {
            minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
        }
    }
}
