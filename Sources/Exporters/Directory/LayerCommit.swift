import KapsuleCore
import KapsuleIO

/// Makes a verified layer visible, on top of those below it.
struct LayerCommit {
    let root: RootDirectory
    let stage: LayerStage
    let force: Bool
    var tree: UnpackTree
    var report: UnpackReport

    mutating func run() throws {
        try removeWhatIsHidden()
        for path in stage.order where stage.items[path]?.isDirectory == true { try makeDirectory(path) }
        // Links last: what they name is there then.
        for path in stage.order {
            if case .file(let file) = stage.items[path] { try place(file, at: path) }
        }
        for path in stage.order {
            switch stage.items[path] {
            case .symbolicLink(let target): try makeLink(path, to: target)
            case .hardLink(let target): try makeHardLink(path, to: target)
            case .directory, .file, nil: continue
            }
        }
    }

    /// Whiteouts reach what lower layers put there. What was in the target before stays.
    private mutating func removeWhatIsHidden() throws {
        for path in stage.whiteouts {
            try removeDescendants(of: path)
            if tree[path] != nil { try removeOurs(path) }
        }
        for path in stage.opaques { try removeDescendants(of: path) }
    }

    private mutating func removeDescendants(of path: String) throws {
        for descendant in tree.descendants(of: path) { try removeOurs(descendant) }
    }

    private mutating func removeOurs(_ path: String) throws {
        let isDirectory = tree[path] == .directory
        tree.remove(path)
        do {
            try root.remove(path)
        } catch let error as KapsuleError where isDirectory && error.id == "output.exists" {
            // It holds files that are not ours.
        }
    }

    private mutating func makeDirectory(_ path: BundlePath) throws {
        try clearWay(to: path, for: .directory)
        try root.makeDirectory(path.text)
        for ancestor in path.ancestors where tree[ancestor] == nil { tree.insert(ancestor, .directory) }
        tree.insert(path.text, .directory)
    }

    /// Removes what lower layers put where something of another kind has to be now, here or on the way.
    private mutating func clearWay(to path: BundlePath, for kind: UnpackTree.Kind) throws {
        for ancestor in path.ancestors where tree[ancestor].map({ $0 != .directory }) ?? false {
            try removeOurs(ancestor)
        }
        guard let old = tree[path.text], (old == .directory) != (kind == .directory) else { return }
        try removeDescendants(of: path.text)
        try removeOurs(path.text)
    }

    /// Whether something at `path` may be replaced. Makes the directory it will be in.
    private mutating func prepare(_ path: BundlePath, _ kind: UnpackTree.Kind) throws -> Bool {
        try clearWay(to: path, for: kind)
        let replaces = force || tree[path.text] != nil
        if let parent = path.ancestors.last {
            try root.makeDirectory(parent)
            for ancestor in path.ancestors where tree[ancestor] == nil { tree.insert(ancestor, .directory) }
        }
        tree.insert(path.text, kind)
        return replaces
    }

    private mutating func place(_ file: HeldFile, at path: BundlePath) throws {
        if case .existing = file.place {
            for ancestor in path.ancestors where tree[ancestor] == nil { tree.insert(ancestor, .directory) }
            tree.insert(path.text, .file)
            report.kept += 1
            return
        }
        let replaces = try prepare(path, .file)
        switch file.place {
        case .unnamed(let atomic): try root.commit(atomic, as: path.text, replaces: replaces)
        case .staged(let staged, _): try root.move(staged, to: path.text, replaces: replaces)
        case .existing: return
        }
        report.written += 1
        report.bytes += file.size
    }

    private mutating func makeLink(_ path: BundlePath, to target: String) throws {
        let replaces = try prepare(path, .link)
        if try root.status(path.text)?.kind == .symbolicLink, try root.linkTarget(path.text) == target {
            report.kept += 1
            return
        }
        try root.makeLink(path.text, to: target, replaces: replaces)
        report.written += 1
    }

    private mutating func makeHardLink(_ path: BundlePath, to target: BundlePath) throws {
        guard path != target else { return }
        let replaces = try prepare(path, .file)
        let old = try root.status(path.text)
        if let old, let new = try root.status(target.text), old.device == new.device, old.inode == new.inode {
            report.kept += 1
            return
        }
        try root.makeHardLink(path.text, to: target.text, replaces: replaces)
        report.written += 1
    }
}
