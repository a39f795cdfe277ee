import Formats
import Foundation
import Glibc
import TestSupport

/// A tree that can be made on disk for a formatter to read, and described to ours.
struct SampleTree {
    enum Kind {
        case file([UInt8])
        /// A hole of so many bytes.
        case sparse(Int64)
        case directory
        case link([UInt8])
        case hardLink(Int)
        case pipe
    }

    struct Item {
        /// Index of the directory that holds it; nil for the root.
        var parent: Int?
        var name: [UInt8]
        var kind: Kind
        var permissions: UInt16
    }

    var items: [Item] = []
    var rootPermissions: UInt16 = 0o755

    @discardableResult
    mutating func add(
        _ name: [UInt8], in parent: Int? = nil, _ kind: Kind, permissions: UInt16? = nil
    ) -> Int {
        let usual: UInt16 =
            switch kind {
            case .directory: 0o755
            case .link: 0o777
            default: 0o644
            }
        items.append(Item(parent: parent, name: name, kind: kind, permissions: permissions ?? usual))
        return items.count - 1
    }

    @discardableResult
    mutating func add(
        _ name: String, in parent: Int? = nil, _ kind: Kind, permissions: UInt16? = nil
    ) -> Int {
        add(Array(name.utf8), in: parent, kind, permissions: permissions)
    }

    /// Contents of the regular files, in the order of adding.
    var contents: [SampleContent] {
        items.compactMap { item in
            switch item.kind {
            case .file(let bytes): .bytes(bytes)
            case .sparse(let size): .zeros(size)
            default: nil
            }
        }
    }

    /// The tree as our planner takes it; items added in the order of `order`, parents first, when given.
    func tree() throws -> EROFS.Tree {
        var tree = EROFS.Tree(rootPermissions: rootPermissions)
        var nodes: [EROFS.Tree.NodeID] = []
        for item in items {
            let parent = item.parent.map { nodes[$0] } ?? .root
            switch item.kind {
            case .file(let bytes):
                nodes.append(
                    try tree.addFile(item.name, in: parent, size: Int64(bytes.count), permissions: item.permissions))
            case .sparse(let size):
                nodes.append(try tree.addFile(item.name, in: parent, size: size, permissions: item.permissions))
            case .directory:
                nodes.append(try tree.addDirectory(item.name, in: parent, permissions: item.permissions))
            case .link(let target):
                nodes.append(try tree.addSymbolicLink(item.name, in: parent, to: target))
            case .hardLink(let other):
                try tree.addHardLink(item.name, in: parent, to: nodes[other])
                nodes.append(nodes[other])
            case .pipe:
                nodes.append(try tree.addSpecial(item.name, in: parent, .pipe, permissions: item.permissions))
            }
        }
        return tree
    }

    /// Makes the tree at `root`, which must be an empty directory.
    func make(at root: String) throws {
        var paths: [[UInt8]] = []
        for item in items {
            let path = (item.parent.map { paths[$0] } ?? Array(root.utf8)) + [UInt8(ascii: "/")] + item.name
            paths.append(path)
            switch item.kind {
            case .file(let bytes):
                try create(path) { descriptor in
                    let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
                    try check(Int32(count == bytes.count ? 0 : -1))
                }
            case .sparse(let size): try create(path) { try check(ftruncate($0, off_t(size))) }
            case .directory: try check(unsafe mkdir(cString(path), 0o700))
            case .link(let target): try check(unsafe symlink(cString(target), cString(path)))
            case .hardLink(let other): try check(unsafe link(cString(paths[other]), cString(path)))
            case .pipe: try check(unsafe mkfifo(cString(path), 0o600))
            }
        }
        for (item, path) in zip(items, paths) {
            switch item.kind {
            case .link, .hardLink: break
            default: try check(unsafe chmod(cString(path), mode_t(item.permissions)))
            }
        }
        try check(unsafe chmod(root, mode_t(rootPermissions)))
    }

    private func create(_ path: [UInt8], _ body: (Int32) throws -> Void) throws {
        let descriptor = unsafe open(cString(path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        try check(descriptor)
        defer { close(descriptor) }
        try body(descriptor)
    }

    private func cString(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

    private func check(_ result: Int32) throws {
        if result < 0 { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }
}

enum SampleContent {
    case bytes([UInt8])
    case zeros(Int64)
}

/// Puts an image together the plain way: what the exporter does in parallel and by cloning.
func assemble(_ map: EROFS.ImageMap, _ contents: [SampleContent]) -> [UInt8] {
    var image = [UInt8](repeating: 0, count: Int(map.size))
    for region in map.metadata {
        image.replaceSubrange(Int(region.offset)..<Int(region.offset) + region.bytes.count, with: region.bytes)
    }
    for (place, content) in zip(map.files, contents) {
        guard let place, case .bytes(let bytes) = content else { continue }
        for extent in [place.data, place.tail].compactMap({ $0 }) {
            let part = bytes[Int(extent.fileOffset)..<Int(extent.fileOffset + extent.length)]
            image.replaceSubrange(Int(extent.offset)..<Int(extent.offset + extent.length), with: part)
        }
    }
    var first = Array(image.prefix(EROFS.blockSize))
    EROFS.sealFirstBlock(&first)
    image.replaceSubrange(0..<EROFS.blockSize, with: first)
    return image
}
