import Formats
public import KapsuleCore
import KapsuleCrypto

/// Takes the bytes of one layer, as a registry or a layout stores them. Used by one thread at a time.
///
/// Nothing of the layer is visible before `finish`; an unpacker that is let go without it leaves nothing.
public final class LayerUnpacker: ByteSink {
    private var sink: VerifyingSink<Unpacked>
    private let stage: LayerStage
    private let owner: DirectoryUnpacker

    init(
        _ owner: DirectoryUnpacker, _ stage: LayerStage, _ blob: Artifact, compression: LayerCompression
    ) {
        self.owner = owner
        self.stage = stage
        sink = VerifyingSink(Unpacked(stage, compression), expecting: blob, what: stage.what)
    }

    public func write(_ bytes: Span<UInt8>) throws { try sink.write(bytes) }

    public func append(_ source: some ByteSource) throws {
        var unpacker = self
        try source.read(0..<source.size, into: &unpacker)
    }

    /// All bytes have come: if they are what was promised, the layer's files get their names.
    ///
    /// - Throws: `.unverified` when they are not; `.conflict` when a file is there with other content.
    public func finish() throws {
        try sink.finish()
        try sink.next.finish()
        try owner.commit(stage)
    }
}

/// From stored bytes to entries. One of the two is there.
private struct Unpacked: ByteSink, ~Copyable {
    private var plain: TarReader<LayerStage>?
    private var gzip: GunzipSink<TarReader<LayerStage>>?

    init(_ stage: LayerStage, _ compression: LayerCompression) {
        let reader = TarReader(stage, what: stage.what)
        switch compression {
        case .none:
            plain = reader
            gzip = nil
        case .gzip:
            plain = nil
            gzip = GunzipSink(reader, what: stage.what)
        }
    }

    mutating func write(_ bytes: Span<UInt8>) throws {
        try plain?.write(bytes)
        try gzip?.write(bytes)
    }

    mutating func finish() throws {
        try plain?.finish()
        try gzip?.finish()
        try gzip?.next.finish()
    }
}
