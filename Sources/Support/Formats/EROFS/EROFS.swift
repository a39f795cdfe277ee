/// The read-only file system of Linux, as its reference formatter writes it without compression: 4096-byte blocks,
/// 32-byte inode slots, little-endian.
///
/// Source: Linux `Documentation/filesystems/erofs.rst` and `fs/erofs/erofs_fs.h`; the order in which things are placed
/// was measured on the formatter's output (docs of the project, "Reproducible EROFS + dm-verity images").
public enum EROFS {
    /// Bytes of a block.
    public static let blockSize = 4096
    /// Inodes begin at multiples of this, in bytes. An inode's number counts these slots.
    static let slotSize = 32
    /// Where inode numbers no longer fit the superblock's 16-bit root field: 65535 slots.
    static let lastRootPosition: Int64 = 65535 * 32
    /// Start block of an inode whose bytes are all beside it, and of a directory without whole blocks.
    static let noBlock: UInt32 = 0xFFFF_FFFF
    /// Longest name of a directory entry, in bytes.
    public static let maximumNameLength = 255

    /// What decides the bytes of an image beside the tree itself.
    public struct Profile: Sendable, Hashable {
        /// How places are found for inodes, tails and data.
        public enum Layout: Sendable, Hashable {
            /// Depth first, each directory's metadata as it is left: erofs-utils 1.5.
            case depthFirst
            /// Directory by directory: erofs-utils 1.8.6 and later.
            case byDirectory
        }

        /// As `--profile` names it.
        public let name: String
        public let layout: Layout
        /// The superblock's word of features that a reader must know.
        public let incompatibleFeatures: UInt32
        /// Whether every inode has 64 bytes, as erofs-utils before 1.9 write them when `SOURCE_DATE_EPOCH` is set.
        public let extendsInodes: Bool

        public init(name: String, layout: Layout, incompatibleFeatures: UInt32, extendsInodes: Bool = false) {
            self.name = name
            self.layout = layout
            self.incompatibleFeatures = incompatibleFeatures
            self.extendsInodes = extendsInodes
        }

        /// Schema 1 of modelwrap: equal to erofs-utils 1.5.
        public static let modelwrap1 = Profile(name: "modelwrap-1", layout: .depthFirst, incompatibleFeatures: 0)
        /// Schema 2 of modelwrap: equal to erofs-utils 1.8.6.
        public static let modelwrap2 = Profile(name: "modelwrap-2", layout: .byDirectory, incompatibleFeatures: 0)
        /// privatemode: equal to erofs-utils 1.9, the one release that sets feature bit 0 without compression.
        public static let privatemode = Profile(name: "privatemode", layout: .byDirectory, incompatibleFeatures: 1)

        /// What systemd-repart makes with erofs-utils 1.8.6: it sets `SOURCE_DATE_EPOCH`. With 1.9 it makes `privatemode`.
        public static let repart186 = Profile(
            name: "repart-1.8.6", layout: .byDirectory, incompatibleFeatures: 0, extendsInodes: true)

        /// Those that have a name of their own on the command line.
        public static let all: [Profile] = [.modelwrap1, .modelwrap2, .privatemode]
    }
}

extension Int64 {
    /// The least multiple of `unit` that is not less.
    func roundedUp(to unit: Int64) -> Int64 { (self + unit - 1) / unit * unit }
}

extension Int {
    /// The least multiple of `unit` that is not less.
    func roundedUp(to unit: Int) -> Int { (self + unit - 1) / unit * unit }
}
