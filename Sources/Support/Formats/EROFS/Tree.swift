public import KapsuleCore

extension EROFS {
    /// Names, kinds, sizes and modes: all that decides where things go in an image, and no content.
    ///
    /// Owners are root and times are zero, always.
    public struct Tree: Sendable {
        /// A node, counted in the order of adding. The root is node 0.
        public struct NodeID: Hashable, Sendable {
            let index: Int
            public static let root = NodeID(index: 0)
        }

        public enum Kind: Sendable, Hashable {
            /// `file` counts regular files in the order of adding: the index into `ImageMap.files`.
            case regular(file: Int, size: Int64)
            case directory
            case symbolicLink(target: [UInt8])
            case characterDevice(major: UInt32, minor: UInt32)
            case blockDevice(major: UInt32, minor: UInt32)
            case pipe
            case socket
        }

        struct Node: Sendable {
            var kind: Kind
            /// The low twelve bits of the mode.
            var permissions: UInt16
            /// Names of a non-directory; of a directory, not used.
            var links = 1
            /// Of a directory: its entries but for `.` and `..`, in the order of adding.
            var children: [Entry] = []
            /// Of a directory: the one above; of the root, itself.
            var parent = NodeID.root
        }

        struct Entry: Sendable {
            var name: [UInt8]
            var node: NodeID
        }

        private struct Place: Hashable {
            var parent: NodeID
            var name: [UInt8]
        }

        private(set) var nodes: [Node]
        private var places: [Place: NodeID] = [:]
        /// Regular files so far.
        public private(set) var fileCount = 0

        /// - Parameter rootPermissions: the root's own mode, the low twelve bits.
        public init(rootPermissions: UInt16 = 0o755) {
            nodes = [Node(kind: .directory, permissions: rootPermissions & 0o7777)]
        }

        /// Adds a regular file. Its index in `ImageMap.files` is how many were added before it.
        @discardableResult
        public mutating func addFile(
            _ name: [UInt8], in parent: NodeID = .root, size: Int64, permissions: UInt16 = 0o644
        ) throws -> NodeID {
            let node = try add(name, in: parent, .regular(file: fileCount, size: size), permissions: permissions)
            fileCount += 1
            return node
        }

        @discardableResult
        public mutating func addDirectory(
            _ name: [UInt8], in parent: NodeID = .root, permissions: UInt16 = 0o755
        ) throws -> NodeID {
            try add(name, in: parent, .directory, permissions: permissions)
        }

        @discardableResult
        public mutating func addSymbolicLink(
            _ name: [UInt8], in parent: NodeID = .root, to target: [UInt8], permissions: UInt16 = 0o777
        ) throws -> NodeID {
            try add(name, in: parent, .symbolicLink(target: target), permissions: permissions)
        }

        /// Adds a pipe, a socket or a device.
        @discardableResult
        public mutating func addSpecial(
            _ name: [UInt8], in parent: NodeID = .root, _ kind: Kind, permissions: UInt16
        ) throws -> NodeID {
            switch kind {
            case .characterDevice, .blockDevice, .pipe, .socket: break
            case .regular, .directory, .symbolicLink: preconditionFailure("not a special file")
            }
            return try add(name, in: parent, kind, permissions: permissions)
        }

        /// Gives a node that is not a directory one more name.
        public mutating func addHardLink(_ name: [UInt8], in parent: NodeID = .root, to node: NodeID) throws {
            guard nodes[node.index].kind != .directory else {
                throw KapsuleError(
                    .usage, id: "erofs.directory-link",
                    "\(quoted(name)) cannot be a hard link: what it links to is a directory")
            }
            try enter(name, in: parent, node)
            nodes[node.index].links += 1
        }

        /// Adds a regular file and the directories above it that are not there yet.
        ///
        /// - Parameter directoryPermissions: asked with the path of each new directory.
        @discardableResult
        public mutating func addFile(
            at path: BundlePath, size: Int64, permissions: UInt16 = 0o644,
            directoryPermissions: (String) -> UInt16 = { _ in 0o755 }
        ) throws -> NodeID {
            let parts = path.text.utf8.split(separator: UInt8(ascii: "/")).map(Array.init)
            var parent = NodeID.root
            for (part, above) in zip(parts.dropLast(), path.ancestors) {
                if let known = child(part, of: parent), nodes[known.index].kind == .directory {
                    parent = known
                } else {
                    parent = try addDirectory(part, in: parent, permissions: directoryPermissions(above))
                }
            }
            return try addFile(
                parts[parts.count - 1], in: parent, size: size, permissions: permissions)
        }

        /// The node that `parent` holds under `name`.
        public func child(_ name: [UInt8], of parent: NodeID) -> NodeID? {
            places[Place(parent: parent, name: name)]
        }

        public func kind(of node: NodeID) -> Kind { nodes[node.index].kind }

        // MARK: Machinery

        private mutating func add(
            _ name: [UInt8], in parent: NodeID, _ kind: Kind, permissions: UInt16
        ) throws -> NodeID {
            let node = NodeID(index: nodes.count)
            try enter(name, in: parent, node)
            nodes.append(Node(kind: kind, permissions: permissions & 0o7777, parent: parent))
            return node
        }

        private mutating func enter(_ name: [UInt8], in parent: NodeID, _ node: NodeID) throws {
            guard case .directory = nodes[parent.index].kind else {
                preconditionFailure("only a directory has entries")
            }
            try checkName(name)
            let place = Place(parent: parent, name: name)
            guard places[place] == nil else {
                throw KapsuleError(
                    .usage, id: "erofs.name-twice", "the tree has \(quoted(name)) twice in one directory",
                    remedy: "rename or exclude one of the two")
            }
            places[place] = node
            nodes[parent.index].children.append(Entry(name: name, node: node))
        }

        private func checkName(_ name: [UInt8]) throws {
            func refuse(_ why: String) -> KapsuleError {
                KapsuleError(
                    .usage, id: "erofs.name", "the name \(quoted(name)) cannot be in an image: it \(why)",
                    remedy: "rename or exclude the file")
            }
            guard !name.isEmpty else { throw refuse("is empty") }
            guard name.count <= EROFS.maximumNameLength else {
                throw refuse("is longer than \(EROFS.maximumNameLength) bytes")
            }
            guard !name.contains(0), !name.contains(UInt8(ascii: "/")) else { throw refuse("holds '/' or NUL") }
            guard name != Array(".".utf8), name != Array("..".utf8) else { throw refuse("means a directory") }
        }
    }
}

/// `name` as an error shows it: in quotes, what is not printable ASCII or UTF-8 text escaped.
func quoted(_ name: [UInt8]) -> String {
    let text = String(decoding: name, as: UTF8.self).unicodeScalars.map { scalar in
        scalar.value < 32 || scalar.value == 127 ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
    return "'\(text.joined())'"
}
