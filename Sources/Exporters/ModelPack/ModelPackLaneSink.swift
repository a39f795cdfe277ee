internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import OCI

/// Turns each file of a lane into a layer as it passes.
final class ModelPackLaneSink: LaneSink {
    let digestsFiles = true
    private let session: ModelPackSession
    /// Files that the destination has not; others are hashed and go nowhere.
    private let missing: Set<Int>
    private var output: (any LayerOutput)?
    private var isArchive = false
    /// Of a file that is stored as it is, or not stored.
    private var hasher = SHA256Hasher()
    /// First the file's digest, second that of its archive.
    private var hashes = TwinSHA256()

    init(_ session: ModelPackSession, missing: Set<Int>) {
        self.session = session
        self.missing = missing
    }

    func beginFile(_ index: Int) throws {
        output = missing.contains(index) ? try session.output(for: index) : nil
        isArchive = output != nil && session.file(index).tar != nil
        if isArchive, let slot = session.file(index).tar?.slots[0] { try writeTar(slot.header) }
    }

    func write(_ bytes: Span<UInt8>) throws {
        if isArchive { hashes.update(bytes) } else { hasher.update(bytes) }
        try output?.write(bytes)
    }

    func endFile(_ index: Int) throws -> Digest? {
        guard let output else { return hasher.finalize() }
        let file = session.file(index)
        guard isArchive, let tar = file.tar else {
            let digest = hasher.finalize()
            try finish(index, output, Artifact(digest: digest, size: file.size))
            return digest
        }
        let digest = hashes.finalizeFirst()
        try writeTar([UInt8](repeating: 0, count: Int(tar.slots[0].padding + tar.ending)))
        try finish(index, output, Artifact(digest: hashes.finalizeSecond(), size: tar.size))
        return digest
    }

    private func finish(_ index: Int, _ output: any LayerOutput, _ layer: Artifact) throws {
        let stored = try output.finish(layer)
        self.output = nil
        session.finish(index, ModelPackSession.Finished(stored: stored, diffID: layer.digest))
    }

    func finish() throws {}

    func abandon() { output?.abandon() }

    private func writeTar(_ bytes: [UInt8]) throws {
        hashes.updateSecond(bytes.span)
        try output?.write(bytes.span)
    }
}
