public import KapsuleCore

/// The bytes of one file, in order, on their way into an image: cuts them into pieces that begin and end at blocks, so that
/// another thread can hash and place each of them.
public struct ImageFileSink: ByteSink {
    private let size: Int64
    private let blocks: SpareBlocks
    private let deliver: (_ piece: ByteBlock, _ offset: Int64) throws -> Void
    private var piece: ByteBlock?
    /// Of the piece, from the start of the file.
    private var offset: Int64 = 0

    /// - Parameters:
    ///   - size: bytes that the image has room for.
    ///   - blocks: where pieces come from; their size is a multiple of the image's block size.
    ///   - deliver: gets each piece with its offset in the file, as `ImageAssembly.add` takes them, and gives it back to
    ///     `blocks` when it has done with it.
    public init(
        size: Int64, blocks: SpareBlocks, deliver: @escaping (_ piece: ByteBlock, _ offset: Int64) throws -> Void
    ) {
        precondition(blocks.blockSize > 0 && blocks.blockSize % EROFS.blockSize == 0, "pieces end at blocks")
        self.size = size
        self.blocks = blocks
        self.deliver = deliver
    }

    /// - Throws: `.unavailable` for more bytes than the image has room for: the file has grown.
    public mutating func write(_ bytes: Span<UInt8>) throws {
        guard Int64(bytes.count) <= size - offset - Int64(piece?.count ?? 0) else { throw changed("grew") }
        var taken = 0
        while taken < bytes.count {
            let piece = piece ?? blocks.take()
            self.piece = piece
            taken += piece.fill(bytes.extracting(droppingFirst: taken))
            if piece.isFull || offset + Int64(piece.count) == size { try pass(piece) }
        }
    }

    /// All bytes have come.
    ///
    /// - Throws: `.unavailable` for fewer bytes than the image has room for: the file has shrunk.
    public func finish() throws {
        guard offset == size else { throw changed("shrank") }
    }

    private mutating func pass(_ whole: ByteBlock) throws {
        piece = nil
        let start = offset
        offset += Int64(whole.count)
        try deliver(whole, start)
    }

    private func changed(_ how: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "source.changed",
            "a file \(how) while it was read: it had \(size) bytes when the image was laid out",
            remedy: "run the build again when nothing writes to the model")
    }
}
