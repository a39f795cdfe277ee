internal import KapsuleCore
internal import KapsuleIO
internal import Ollama

/// A blob on its way into Ollama's store.
///
/// What comes from this machine has no name until it is whole. What its source promises by its digest and has to be
/// fetched waits under a hidden name, for a further run to go on from.
///
/// Used by the thread of its lane until that has ended, and then by the one that commits: never by two at a time.
final class OllamaBlobFile: @unchecked Sendable {
    private let store: OllamaStore
    private let held: HeldFile
    /// While somebody else fetches the same blob, it is fetched without a name.
    private let lock: FileLock?
    private let promised: Digest?
    /// Bytes at the front that an earlier run has left.
    let kept: Int64
    private var isCloned = false
    /// Whether all of its lane has come, and was what it should be.
    var isWhole = false

    init(for source: any ByteSource, in store: OllamaStore) throws {
        self.store = store
        let promised = Self.isAtHand(source) ? nil : source.digest
        let unnamed = { HeldFile.Place.unnamed(try store.newBlob()) }
        if let promised, let (file, lock) = try store.openWaiting(promised) {
            let kept = try file.status().size
            (self.promised, self.lock, self.kept) = (promised, lock, kept)
            let place = HeldFile.Place.staged(store.waiting(promised), file)
            held = try HeldFile(place, size: source.size, kept: kept, makePlace: unnamed)
        } else {
            (self.promised, self.lock, self.kept) = (nil, nil, 0)
            held = try HeldFile(try unnamed(), size: source.size, makePlace: unnamed)
            // A clone is of the file as it is now; that it is the same when it is read, the source itself makes sure of.
            isCloned = try held.clone(source)
        }
    }

    /// Whether a source is on this machine.
    static func isAtHand(_ source: any ByteSource) -> Bool {
        if source.isWatched { return true }
        if case .stream = source.backing { return false }
        return true
    }

    /// What an earlier run has left, to be read in place of the source's own first bytes.
    func salvaged() throws -> FileSource? {
        guard let promised, kept > 0 else { return nil }
        return try FileSource(OpenFile.reading(store.waiting(promised), followsLinks: false))
    }

    func write(_ bytes: Span<UInt8>) throws {
        if !isCloned { try held.write(bytes) }
    }

    func end() throws { try held.end() }

    /// What was written.
    func source() throws -> FileSource {
        switch held.place {
        case .unnamed(let file): try FileSource(file.file)
        case .staged(let path, _): try FileSource(path: path)
        case .existing: preconditionFailure("a blob on its way is a new file")
        }
    }

    /// Gives the blob its name.
    ///
    /// - Parameter replaces: whether one of that name is not known to be whole, and gives way.
    func publish(as digest: Digest, replaces: Bool) throws {
        switch held.place {
        case .unnamed(let file): try store.publish(file, as: digest, replaces: replaces)
        case .staged(let path, _):
            try OpenFile.updating(path).setMode(0o644)
            try store.publishWaiting(digest)
        case .existing: break
        }
    }

    /// Forgets what is there: it is not what was promised.
    func discard() {
        if let promised { _ = try? Directories.removeFile(store.waiting(promised)) }
    }
}
