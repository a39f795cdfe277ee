internal import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// Gives whole files their names in a directory, and keeps those that are there and equal.
struct FilePlacer: Sendable {
    /// Bytes between two words of progress.
    private static let step: Int64 = 16 << 20

    let root: RootDirectory
    let force: Bool

    /// - Parameters:
    ///   - isStillValid: asked before the file gets its name.
    ///   - advance: is told of bytes as they come.
    func place(
        _ content: some ByteSource, at path: BundlePath, mode: UInt32, isStillValid: () throws -> Void,
        advance: (Int) -> Void
    ) throws -> UnpackReport {
        let directory = path.ancestors.last ?? ""
        let file = try hold(path, in: directory, size: content.size, mode: mode)
        var offset: Int64 = 0
        while offset < content.size {
            let range = offset..<min(offset + Self.step, content.size)
            try file.append(SliceSource(content, range))
            advance(range.count)
            offset = range.upperBound
        }
        try file.end()
        try isStillValid()
        guard case .unnamed(let atomic) = file.place else { return UnpackReport(written: 0, kept: 1, bytes: 0) }
        try root.makeDirectory(directory)
        try root.commit(atomic, as: path.text, replaces: force)
        return UnpackReport(written: 1, kept: 0, bytes: content.size)
    }

    private func hold(_ path: BundlePath, in directory: String, size: Int64, mode: UInt32) throws -> HeldFile {
        let makePlace = { [root, force] () throws -> HeldFile.Place in
            guard force else { throw KapsuleError.occupied(path, in: root.path) }
            return .unnamed(try AtomicFile(in: root.nearestDirectory(directory), mode: mode))
        }
        guard let existing = try root.status(path.text) else {
            let new = HeldFile.Place.unnamed(try AtomicFile(in: root.nearestDirectory(directory), mode: mode))
            return try HeldFile(new, size: size, makePlace: makePlace)
        }
        if existing.kind == .regular, existing.size == size {
            return try HeldFile(.existing(root.reading(path.text)), size: size, makePlace: makePlace)
        }
        // Before gigabytes are read, not after.
        guard force, existing.kind != .directory else { throw KapsuleError.occupied(path, in: root.path) }
        return try HeldFile(makePlace(), size: size, makePlace: makePlace)
    }

    func makeLink(_ path: BundlePath, to target: String, _ report: inout UnpackReport) throws {
        if let parent = path.ancestors.last { try root.makeDirectory(parent) }
        if try root.status(path.text)?.kind == .symbolicLink, try root.linkTarget(path.text) == target {
            report.kept += 1
            return
        }
        try root.makeLink(path.text, to: target, replaces: force)
        report.written += 1
    }

    /// The second name of a file that has its first one already.
    func makeHardLink(_ path: BundlePath, to existing: BundlePath, _ report: inout UnpackReport) throws {
        if let parent = path.ancestors.last { try root.makeDirectory(parent) }
        let old = try root.status(path.text)
        if let old, let first = try root.status(existing.text), old.device == first.device, old.inode == first.inode {
            report.kept += 1
            return
        }
        try root.makeHardLink(path.text, to: existing.text, replaces: force)
        report.written += 1
    }
}

/// What several tasks have done together.
final class SharedReport: Sendable {
    private let report = Mutex(UnpackReport())

    var value: UnpackReport { report.withLock { $0 } }

    func add(_ more: UnpackReport) {
        report.withLock {
            $0.written += more.written
            $0.kept += more.kept
            $0.bytes += more.bytes
        }
    }
}
