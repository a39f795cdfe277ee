internal import KapsuleCore
internal import KapsuleIO

/// The files below a directory, links followed as long as they stay inside.
struct DirectoryWalk {
    struct Entry {
        /// Relative to the root of the walk.
        let path: BundlePath
        /// Where the bytes are, every link resolved.
        let realPath: String
        let status: FileStatus
    }

    /// Absolute, every link resolved. Nothing outside is read.
    let root: String
    let rules: ContextRules

    /// - Throws: for links that leave the root or lead nowhere, devices, sockets, pipes, unreadable files and names
    ///   that no image can hold; each by name.
    func found() throws -> Found {
        var found = Found()
        found.directoryPermissions[""] = try FileStatus.of(root, followsLinks: false)?.mode
        try visit(root, as: "", above: [root], into: &found)
        found.entries.sort { $0.path < $1.path }
        return found
    }

    struct Found {
        /// Ascending by path.
        var entries: [Entry] = []
        /// By path; the root is empty.
        var directoryPermissions: [String: UInt32] = [:]
    }

    private func visit(_ directory: String, as prefix: String, above: [String], into result: inout Found) throws {
        for name in try Directories.names(in: directory) {
            let path = try bundlePath(prefix + name, in: directory)
            guard rules.admits(path) || rules.admitsDirectory(path) else { continue }
            let found: (path: String, status: FileStatus)
            do {
                found = try resolve("\(directory)/\(name)", as: path)
            } catch  where !rules.admits(path) {
                continue  // A bad link that nobody wants.
            }
            switch found.status.kind {
            case .directory:
                guard rules.admitsDirectory(path) else { continue }
                guard !above.contains(found.path) else {
                    throw KapsuleError(
                        .usage, id: "source.link-loop", "\(directory)/\(name) is a link to a directory above it",
                        remedy: "remove the link, or leave it out with EXCLUDE \(path)")
                }
                result.directoryPermissions[path.text] = found.status.mode
                try visit(found.path, as: "\(path)/", above: above + [found.path], into: &result)
            case _ where !rules.admits(path): continue
            case .regular:
                result.entries.append(Entry(path: path, realPath: found.path, status: found.status))
            case .symbolicLink, .other:
                throw KapsuleError(
                    .usage, id: "source.not-a-file",
                    "\(directory)/\(name) is a device, a socket or a pipe, and no part of a model",
                    remedy: "remove it, or leave it out with EXCLUDE \(path)")
            }
        }
    }

    /// Whether the root is a snapshot in the cache of the hub's own tools, and the path a file that its links lead to:
    /// `models--ORG--NAME/snapshots/COMMIT` and `models--ORG--NAME/blobs/NAME`.
    private func isBlobOfHubCache(_ path: String) -> Bool {
        let parts = root.split(separator: "/")
        guard parts.count > 3, parts[parts.count - 2] == "snapshots", parts[parts.count - 3].hasPrefix("models--")
        else {
            return false
        }
        let blobs = "/" + parts.dropLast(2).joined(separator: "/") + "/blobs/"
        return path.hasPrefix(blobs) && !path.dropFirst(blobs.count).contains("/")
    }

    private func bundlePath(_ text: String, in directory: String) throws -> BundlePath {
        do {
            return try BundlePath(validating: text)
        } catch {
            throw KapsuleError(
                .usage, id: "source.path", "the path '\(text)' \(error.reason)", remedy: "rename the file")
        }
    }

    /// Follows a link, if it is one.
    private func resolve(_ path: String, as name: BundlePath) throws -> (path: String, status: FileStatus) {
        guard let status = try FileStatus.of(path, followsLinks: false) else {
            throw KapsuleError(.unavailable, id: "source.changed", "\(path) went away while the build was resolved")
        }
        guard status.kind == .symbolicLink else { return (path, status) }
        let target = try Directories.linkTarget(path)
        guard let real = Directories.realPath(path), let status = try FileStatus.of(real, followsLinks: false) else {
            throw KapsuleError(
                .usage, id: "source.dangling-link", "\(path) is a link to \(target), which does not exist",
                remedy: "remove the link, or leave it out with EXCLUDE \(name)")
        }
        guard real == root || real.hasPrefix(root == "/" ? "/" : "\(root)/") || isBlobOfHubCache(real) else {
            throw KapsuleError(
                .usage, id: "source.link-leaves",
                "\(path) is a link to \(target), which is outside of \(root)",
                remedy: "copy the file into the directory, or leave it out with EXCLUDE \(name)")
        }
        return (real, status)
    }
}
