public import KapsuleCore
internal import KapsuleCrypto
public import KapsuleIO

/// Remembers the digests of files that did not change, and the layers that steps made.
///
/// A file counts as unchanged when its path, device, inode, size and both times are equal to the nanosecond. That is
/// not enough for a file written in the same tick of the clock in which it was hashed (git calls such files racy), so
/// what is younger than a tick is not remembered at all.
///
/// A program that writes through a memory mapping moves a file's times late; it must not run during a build.
public final class DigestCache: Sendable {
    /// Nanoseconds a file must have been left alone before it was hashed: longer than a tick of the clock that its file
    /// system stamps files with.
    ///
    /// Linux stamps at its timer's ticks, which are 10 ms at most. A time of whole hundredths comes from a coarser clock;
    /// the coarsest, that of FAT, has two seconds.
    static func quietTime(_ status: FileStatus) -> Int64 {
        status.changed % 10_000_000 == 0 ? 2_000_000_000 : 20_000_000
    }

    private let table: SlotTable

    /// Opens the cache in `directory`, making both where there are none.
    public init(directory: String) throws {
        try Directories.make(directory, mode: 0o700)
        table = try SlotTable(directory + "/digests-1")
    }

    /// SHA-256 of the file at `path`, if it was hashed before and has not changed.
    ///
    /// - Parameter status: of the file as it is now.
    public func contentDigest(of path: String, _ status: FileStatus) -> Digest? {
        guard let found = table[Self.key(path, status)], found.size == status.size else { return nil }
        return found.digest
    }

    /// Remembers what a file hashed to. Does nothing where the file might have changed unseen.
    ///
    /// - Parameters:
    ///   - status: from before hashing began, and still true after it ended.
    ///   - start: when hashing began, in nanoseconds since 1970.
    public func record(_ digest: Digest, of path: String, _ status: FileStatus, hashedFrom start: Int64) {
        let newest = max(status.modified, status.changed)
        guard status.kind == .regular, newest < start - Self.quietTime(status) else { return }
        remember(Self.key(path, status), Artifact(digest: digest, size: status.size))
    }

    /// The layer a step made, if one with this key was made before. It may have been pruned since: ask the layout.
    public func layer(for key: Digest) -> Artifact? { table[Self.layerKey(key)] }

    public func recordLayer(_ key: Digest, _ layer: Artifact) { remember(Self.layerKey(key), layer) }

    /// Whether a check called `name` found the file with these bytes to be sound before.
    public func hasPassed(_ name: String, _ digest: Digest) -> Bool { table[Self.checkKey(name, digest)] != nil }

    public func recordPassed(_ name: String, _ digest: Digest) {
        remember(Self.checkKey(name, digest), Artifact(digest: digest, size: 0))
    }

    /// SHA-256 of the content that git calls so, if it was read before. SHA-1 may name two contents: whoever reads one
    /// checks it.
    public func contentDigest(ofGitBlob name: String, size: Int64) -> Digest? {
        guard let found = table[Self.gitKey(name, size)], found.size == size else { return nil }
        return found.digest
    }

    public func recordGitBlob(_ name: String, _ content: Artifact) {
        remember(Self.gitKey(name, content.size), content)
    }

    private static func gitKey(_ name: String, _ size: Int64) -> Digest { Digest.of("git-blob \(size) \(name)") }

    private func remember(_ key: Digest, _ value: Artifact) {
        // Full disk, read-only home: the next build hashes again, and this one goes on.
        try? table.set(key, value, now: WallClock.now)
    }

    private static func key(_ path: String, _ status: FileStatus) -> Digest {
        Digest.of(
            "file \(status.device) \(status.inode) \(status.size) \(status.modified) \(status.changed) \(path)")
    }

    private static func checkKey(_ name: String, _ digest: Digest) -> Digest { Digest.of("check \(name) \(digest)") }

    /// So that a step's key is never taken for a file's.
    private static func layerKey(_ key: Digest) -> Digest { Digest.of("layer \(key)") }
}
