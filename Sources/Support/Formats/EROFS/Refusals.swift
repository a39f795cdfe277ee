internal import KapsuleCore

extension EROFS {
    /// What cannot be in an image, or not in one whose bytes equal the reference formatter's.
    enum Refusals {
        static func check(_ tree: Tree, _ profile: Profile) throws {
            for node in tree.nodes {
                for entry in node.children { try check(entry, tree.nodes[entry.node.index], profile) }
            }
        }

        private static func check(_ entry: Tree.Entry, _ node: Tree.Node, _ profile: Profile) throws {
            // Its formatter fails on these: there is nothing to be equal to.
            if profile.layout == .depthFirst && entry.name.count == EROFS.maximumNameLength {
                throw KapsuleError(
                    .usage, id: "erofs.name-255",
                    "the name \(quoted(entry.name)) cannot be in a \(profile.name) image: it has 255 bytes, and "
                        + "erofs-utils 1.5 takes at most 254",
                    remedy: "shorten the name, or use --profile modelwrap-2 or privatemode")
            }
            switch node.kind {
            case .characterDevice(0, 0):
                throw KapsuleError(
                    .usage, id: "erofs.whiteout",
                    "\(quoted(entry.name)) cannot be in an image: it is a character device 0:0, which overlay file "
                        + "systems take for a deletion",
                    remedy: "exclude it")
            case .regular(_, let size) where size / Int64(EROFS.blockSize) >= Int64(UInt32.max):
                throw tooManyBlocks(size / Int64(EROFS.blockSize))
            default: break
            }
            if node.links > Int(UInt16.max) {
                throw KapsuleError(
                    .usage, id: "erofs.links",
                    "\(quoted(entry.name)) cannot be in an image: it has \(node.links) hard links, more than 65535",
                    remedy: "exclude some of its names")
            }
        }

        static func tooManyBlocks(_ count: Int64) -> KapsuleError {
            KapsuleError(
                .usage, id: "erofs.too-large",
                "the image cannot be made: it would have \(count) blocks or more, and block numbers end at 4294967294",
                remedy: "an image holds less than 16 TiB; split the model")
        }

        static func numbersWrap(_ profile: Profile) -> KapsuleError {
            KapsuleError(
                .usage, id: "erofs.root-too-large",
                "a \(profile.name) image cannot be made: the root directory holds more than 2 MiB of names, and "
                    + "erofs-utils 1.5 then writes inode numbers that wrap around",
                remedy: "move files into subdirectories, or use --profile modelwrap-2 or privatemode")
        }
    }
}
