import Formats
import KapsuleCore
import KapsuleIO

/// One layer on its way: what it holds is checked and kept, and nothing is visible before `commit`.
final class LayerStage: TarHandler {
    enum Item {
        case directory
        case file(HeldFile)
        case symbolicLink(String)
        /// To a file of this layer or of a lower one.
        case hardLink(BundlePath)
    }

    /// Most entries of all layers together, because each is remembered.
    static let maximumEntries = 1_000_000

    let what: String
    private let root: RootDirectory
    private let options: UnpackOptions
    private let staging: Staging
    private let lower: UnpackTree
    /// Keeps the first large file for another run, should this one be interrupted.
    private var kept: KeptFile?
    private var current: HeldFile?

    private(set) var order: [BundlePath] = []
    private(set) var items: [BundlePath: Item] = [:]
    /// Paths that lower layers lose, and directories that lose all they had from them.
    private(set) var whiteouts: [String] = []
    private(set) var opaques: [String] = []

    init(
        _ root: RootDirectory, _ options: UnpackOptions, _ staging: Staging, lower: UnpackTree, what: String,
        kept: KeptFile? = nil
    ) {
        self.kept = kept
        self.root = root
        self.options = options
        self.staging = staging
        self.lower = lower
        self.what = what
    }

    func begin(_ entry: TarEntry) throws {
        current = nil
        switch try LayerPath(entry.path, prefix: options.prefix, what: what) {
        case .outside: return
        case .target:
            guard entry.kind == .directory else { throw refusal(entry, "is no directory, and the target is") }
        case .whiteout(let path): whiteouts.append(path)
        case .opaque(let path): opaques.append(path)
        case .inside(let path): try begin(entry, at: path)
        }
    }

    func content(_ bytes: Span<UInt8>) throws { try current?.write(bytes) }

    func end() throws {
        try current?.permit()
        try current?.end()
        current = nil
    }

    /// What the entry's content goes to; nil where nobody wants it.
    var openFile: HeldFile? { current }

    private func begin(_ entry: TarEntry, at path: BundlePath) throws {
        try checkAncestors(of: path, entry)
        if entry.kind == .directory {
            if options.selectsAll { try add(.directory, at: path, entry) }
            return
        }
        guard options.selects(path) else { return }
        switch entry.kind {
        case .directory: return
        case .file:
            let file = try hold(entry, at: path)
            try add(.file(file), at: path, entry)
            current = file
        case .symbolicLink(let target):
            try checkStaysInside(target, from: path, entry)
            try add(.symbolicLink(target), at: path, entry)
        case .hardLink(let target): try add(.hardLink(try linked(target, entry)), at: path, entry)
        case .special: throw refusal(entry, "is a device or a pipe")
        }
    }

    /// A later entry of the same path wins, as tar has it; but a directory does not become something else.
    private func add(_ item: Item, at path: BundlePath, _ entry: TarEntry) throws {
        if let old = items[path] {
            guard old.isDirectory == item.isDirectory else { throw refusal(entry, "is there twice, as two things") }
        } else {
            guard lower.count + order.count < Self.maximumEntries else {
                throw refusal(entry, "is one of more than \(Self.maximumEntries) entries")
            }
            order.append(path)
        }
        items[path] = item
    }

    /// Only directories may be on the way. One that a lower layer made a link would lead elsewhere.
    private func checkAncestors(of path: BundlePath, _ entry: TarEntry) throws {
        for ancestor in path.ancestors {
            // A part of a valid path is one.
            guard let above = try? BundlePath(validating: ancestor) else { continue }
            if let item = items[above] {
                guard item.isDirectory else { throw refusal(entry, "lies below '\(above)', which is no directory") }
            } else if lower[ancestor] == .link, !isCovered(ancestor) {
                throw refusal(entry, "lies below '\(above)', which is a link")
            }
        }
        if path.text.hasPrefix(AtomicFile.temporaryPrefix) { throw refusal(entry, "has a name that kapsule keeps") }
    }

    private func isCovered(_ path: String) -> Bool { whiteouts.contains(path) }

    private func hold(_ entry: TarEntry, at path: BundlePath) throws -> HeldFile {
        // Bit 6: the owner may execute it.
        let mode: UInt32 = entry.mode & 0o100 != 0 ? 0o755 : 0o644
        // What a lower layer has instead of a directory above us goes before we come.
        let parent = path.ancestors.firstIndex { lower[$0].map { $0 != .directory } ?? false }
            .map { $0 == 0 ? "" : path.ancestors[$0 - 1] }
        let directory = parent ?? path.ancestors.last ?? ""
        // The closure must not hold `self`: it is held by what `self` holds, and files would stay open.
        let makePlace = { [staging, root, force = options.force] () throws -> HeldFile.Place in
            guard force else { throw KapsuleError.occupied(path, in: root.path) }
            return try staging.place(in: directory, mode: mode)
        }
        if parent == nil, lower[path.text] == nil, let existing = try root.status(path.text) {
            if existing.kind == .regular, existing.size == entry.size {
                return try HeldFile(.existing(root.reading(path.text)), size: entry.size, makePlace: makePlace)
            }
            // Before gigabytes are fetched, not after.
            guard options.force, existing.kind != .directory else { throw KapsuleError.occupied(path, in: root.path) }
        }
        if let place = try kept?.place(at: entry.contentOffset, size: entry.size) {
            kept = nil
            return try HeldFile(
                place.place, size: entry.size, kept: place.landed, mode: mode, makePlace: makePlace)
        }
        return try HeldFile(staging.place(in: directory, mode: mode), size: entry.size, makePlace: makePlace)
    }

    /// `..` counts only in front, where the directories it leaves are real ones. Behind a name it might leave by a link.
    private func checkStaysInside(_ target: String, from path: BundlePath, _ entry: TarEntry) throws {
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        let climbs = parts.prefix { $0 == ".." }.count
        guard !target.hasPrefix("/"), climbs <= path.ancestors.count, !parts.dropFirst(climbs).contains("..") else {
            throw refusal(entry, "is a link to '\(target.prefix(200))', which may lead outside")
        }
    }

    private func linked(_ target: String, _ entry: TarEntry) throws -> BundlePath {
        guard case .inside(let path) = try LayerPath(target, prefix: options.prefix, what: what) else {
            throw refusal(entry, "is a link to '\(target.prefix(200))', outside of what is unpacked")
        }
        switch items[path] {
        case .file: return path
        case .hardLink(let first): return first
        case nil where lower[path.text] == .file: return path
        default: throw refusal(entry, "is a link to '\(target.prefix(200))', which is no file unpacked before it")
        }
    }

    private func refusal(_ entry: TarEntry, _ reason: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "unpack.refused",
            "\(what) has an entry that cannot be unpacked: '\(entry.path.prefix(200))' \(reason)",
            remedy: "do not use this image, or leave the entry out with --exclude")
    }
}

extension LayerStage.Item {
    var isDirectory: Bool {
        if case .directory = self { return true }
        return false
    }
}
