internal import Encryption
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto

/// Turns the files of one lane into one tar layer as they pass: headers, bytes, padding, end, hashed on the way.
final class TarLaneSink: LaneSink {
    let digestsFiles = true
    private let plan: LayerPlan
    private let output: any LayerOutput
    private let finished: @Sendable (ImageSession.FinishedLayer) -> Void
    /// First the file's digest, second the tar's: both from one pass over the bytes.
    private var hashes = TwinSHA256()
    /// The next slot of the archive.
    private var slot = 0
    /// Bytes that the file being written still has to get.
    private var missing: Int64 = 0
    /// Whether a file has come that nobody has compared with its digest yet.
    private var isUnproven = false

    init(
        _ plan: LayerPlan, into output: any LayerOutput,
        finished: @escaping @Sendable (ImageSession.FinishedLayer) -> Void
    ) {
        self.plan = plan
        self.output = output
        self.finished = finished
    }

    func beginFile(_ index: Int) throws {
        while slot < plan.directoryCount {
            try writeTar(plan.tar.slots[slot].header)
            slot += 1
        }
        isUnproven = false
        missing = plan.tar.slots[slot].size
        try writeTar(plan.tar.slots[slot].header)
    }

    func write(_ bytes: Span<UInt8>) throws {
        missing -= Int64(bytes.count)
        precondition(missing >= 0, "a source gives no more bytes than its size")
        hashes.update(bytes)
        try output.write(bytes)
    }

    func endFile(_ index: Int) throws -> Digest? {
        precondition(missing == 0, "a source gives no fewer bytes than its size")
        try writeZeros(plan.tar.slots[slot].padding)
        slot += 1
        isUnproven = true
        return hashes.finalizeFirst()
    }

    func finish() throws {
        try writeZeros(plan.tar.ending)
        let tar = Artifact(digest: hashes.finalizeSecond(), size: plan.tar.size)
        finished(ImageSession.FinishedLayer(stored: try output.finish(tar), diffID: tar.digest))
    }

    func abandon() { if isUnproven { output.discard() } else { output.abandon() } }

    private func writeTar(_ bytes: [UInt8]) throws {
        hashes.updateSecond(bytes.span)
        try output.write(bytes.span)
    }

    private func writeZeros(_ count: Int64) throws {
        if count > 0 { try writeTar([UInt8](repeating: 0, count: Int(count))) }
    }
}

/// Where the bytes of a layer's tar go.
protocol LayerOutput: AnyObject {
    func write(_ bytes: Span<UInt8>) throws
    /// - Parameter tar: digest and size of everything written.
    /// - Returns: what is stored, which differs from `tar` when it is compressed or encrypted.
    func finish(_ tar: Artifact) throws -> StoredLayer
    func abandon()
    /// Gives up what came, because it is not what was promised.
    func discard()
}

extension LayerOutput {
    func discard() { abandon() }
}

/// A blob that is stored.
struct StoredLayer: Sendable {
    let blob: Artifact
    /// Where it is encrypted: what whoever may read it has to be given.
    var sealed: SealedLayer?
}

/// The tar as it is.
final class PlainLayer: LayerOutput {
    private var blob: any BlobSink

    init(_ blob: any BlobSink) { self.blob = blob }

    func write(_ bytes: Span<UInt8>) throws { try blob.write(bytes) }

    func finish(_ tar: Artifact) throws -> StoredLayer {
        try blob.finish(tar.digest)
        return StoredLayer(blob: tar)
    }

    func abandon() { blob.abandon() }
    func discard() { blob.discard() }
}

/// The tar through gzip. Zlib at a fixed level and without a time, so that equal bytes give equal blobs.
final class GzipLayer: LayerOutput {
    private var gzip: GzipSink<HashingBlob>

    init(_ blob: any BlobSink) { gzip = GzipSink(HashingBlob(blob: blob)) }

    func write(_ bytes: Span<UInt8>) throws { try gzip.write(bytes) }

    func finish(_ tar: Artifact) throws -> StoredLayer {
        try gzip.finish()
        return StoredLayer(blob: try gzip.next.finish())
    }

    func abandon() { gzip.next.blob.abandon() }
}

/// A blob that is hashed as it goes.
struct HashingBlob: ByteSink, ~Copyable {
    var blob: any BlobSink
    private var hasher = SHA256Hasher()
    private var count: Int64 = 0

    init(blob: any BlobSink) { self.blob = blob }

    mutating func write(_ bytes: Span<UInt8>) throws {
        hasher.update(bytes)
        count += Int64(bytes.count)
        try blob.write(bytes)
    }

    mutating func finish() throws -> Artifact {
        let digest = hasher.finalize()
        try blob.finish(digest)
        return Artifact(digest: digest, size: count)
    }
}
