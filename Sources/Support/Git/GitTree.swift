public import KapsuleCore
internal import KapsuleCrypto

/// The files of a commit.
public struct GitTree: Sendable {
    /// Longest list of files or objects, in bytes: some half a million of them.
    static let longestList = 64 << 20

    let copy: GitCopy
    public let commit: String
    let entries: [Entry]

    /// A file of the model.
    public struct File: Sendable {
        public let path: BundlePath
        public let isExecutable: Bool
        public let source: any ByteSource
        public let identity: String
    }

    struct Entry: Sendable {
        enum Kind: Sendable { case file, executable, link, submodule }

        let kind: Kind
        /// Of the content, in hex.
        let name: String
        let path: BundlePath

        /// What `git ls-tree -r -z` prints: `MODE SP TYPE SP NAME TAB PATH NUL`.
        static func list(_ output: [UInt8], of url: String) throws -> [Entry] {
            try output.split(separator: 0).map { row in
                guard let tab = row.firstIndex(of: UInt8(ascii: "\t")),
                    let path = String(validating: row[row.index(after: tab)...], as: UTF8.self)
                else { throw refusal(url, "a file whose name is not UTF-8") }
                let words = row[..<tab].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
                guard words.count == 3, let kind = Kind(mode: words[0]), GitRepository.isObjectName(words[2]) else {
                    throw refusal(url, "an entry of no known kind, '\(path.prefix(200))'")
                }
                do {
                    return Entry(kind: kind, name: words[2], path: try BundlePath(validating: path))
                } catch let problem as PathProblem {
                    throw refusal(url, "a file '\(path.prefix(200))', whose path \(problem.reason)")
                }
            }
        }

        private static func refusal(_ url: String, _ what: String) -> KapsuleError {
            KapsuleError(
                .usage, id: "git.tree", "\(url) has \(what)",
                remedy: "rename it in the repository: no image could hold it")
        }
    }

    // MARK: Files

    /// The files that are wanted, all of git's own in the cache and all of LFS found on the server. Nothing is looked at that
    /// is not wanted.
    ///
    /// A symbolic link to a file of the commit is that file; others, and submodules, are refused.
    public func files(wants: (BundlePath) -> Bool, lfs: LFSSettings) throws -> [File] {
        let wanted = entries.filter { wants($0.path) }
        for entry in wanted where entry.kind == .submodule { throw submodule(entry) }
        let links = try targets(of: wanted.filter { $0.kind == .link })
        let blobs = GitBlobs(copy: copy)
        let found = try blobs.load(Set(wanted.map { links[$0.path]?.name ?? $0.name }))
        var pointers: [(path: BundlePath, pointer: LFSPointer)] = []
        for entry in wanted {
            let name = links[entry.path]?.name ?? entry.name
            if let pointer = try found[name]?.content.flatMap({ try LFSPointer($0, path: entry.path) }) {
                pointers.append((entry.path, pointer))
            }
        }
        let large = try LFSObjects(self, lfs).sources(of: pointers)
        return try wanted.map { entry in
            let real = links[entry.path] ?? entry
            guard let blob = found[real.name] else {
                throw KapsuleError(.defect, id: "git.unloaded", "\(entry.path) was never loaded")
            }
            return File(
                path: entry.path, isExecutable: real.kind == .executable, source: large[entry.path] ?? blob,
                identity: "git/\(commit)/\(entry.path)")
        }
    }

    private func submodule(_ entry: Entry) -> KapsuleError {
        KapsuleError(
            .usage, id: "git.submodule", "'\(entry.path)' of \(copy.repository.url) is a submodule, another repository",
            remedy: "leave it out with EXCLUDE \(entry.path), or name that repository in a FROM of its own")
    }

    /// What links lead to, by the links' paths.
    private func targets(of links: [Entry]) throws -> [BundlePath: Entry] {
        guard !links.isEmpty else { return [:] }
        let contents = try GitBlobs(copy: copy).load(Set(links.map(\.name)))
        let byPath = Dictionary(entries.map { ($0.path.text, $0) }) { first, _ in first }
        var targets: [BundlePath: Entry] = [:]
        for link in links {
            let text = contents[link.name]?.content.map { String(decoding: $0, as: UTF8.self) } ?? ""
            let target = Self.resolve(text, from: link.path).flatMap { byPath[$0] }
            guard let target, target.kind == .file || target.kind == .executable else {
                throw KapsuleError(
                    .usage, id: "git.link",
                    "'\(link.path)' of \(copy.repository.url) is a link to '\(text.prefix(200))', which is no file of the commit",
                    remedy: "leave it out with EXCLUDE \(link.path)")
            }
            targets[link.path] = target
        }
        return targets
    }

    /// The path that a link leads to, or nil where that is outside.
    static func resolve(_ target: String, from link: BundlePath) -> String? {
        guard !target.hasPrefix("/"), !target.isEmpty else { return nil }
        var parts = link.text.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..":
                if parts.popLast() == nil { return nil }
            default: parts.append(String(part))
            }
        }
        return parts.isEmpty ? nil : parts.joined(separator: "/")
    }
}

extension GitTree.Entry.Kind {
    /// Source: git, `Documentation/technical/index-format`; older commits have files of mode 100664.
    fileprivate init?(mode: String) {
        switch mode {
        case "100644", "100664": self = .file
        case "100755": self = .executable
        case "120000": self = .link
        case "160000": self = .submodule
        default: return nil
        }
    }
}
