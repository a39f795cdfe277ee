public import KapsuleCore

/// The bytes of one file, in order, on their way into an image: cuts them into pieces that begin and end at blocks, so that
/// another thread can hash and place each of them.
public struct ImageFileSink: ByteSink {
    /// Bytes of a piece: two blocks of level 0 of the hash tree, and small beside a second-level cache.
    public static let usualPieceSize = 1 << 20

    private let size: Int64
    private let pieceSize: Int
    private let deliver: (_ piece: [UInt8], _ offset: Int64) throws -> Void
    private var piece: [UInt8] = []
    /// Of the piece, from the start of the file.
    private var offset: Int64 = 0

    /// - Parameters:
    ///   - size: bytes that the image has room for.
    ///   - pieceSize: a multiple of the block size.
    ///   - deliver: gets each piece with its offset in the file, as `ImageAssembly.add` takes them.
    public init(
        size: Int64, pieceSize: Int = usualPieceSize,
        deliver: @escaping (_ piece: [UInt8], _ offset: Int64) throws -> Void
    ) {
        precondition(pieceSize > 0 && pieceSize % EROFS.blockSize == 0, "pieces end at blocks")
        self.size = size
        self.pieceSize = pieceSize
        self.deliver = deliver
    }

    /// Bytes that the piece will have.
    private var length: Int { Int(min(Int64(pieceSize), size - offset)) }

    /// - Throws: `.unavailable` for more bytes than the image has room for: the file has grown.
    public mutating func write(_ bytes: Span<UInt8>) throws {
        guard Int64(bytes.count) <= size - offset - Int64(piece.count) else { throw changed("grew") }
        var taken = 0
        while taken < bytes.count {
            if piece.isEmpty { piece.reserveCapacity(length) }
            let part = bytes.extracting(taken..<taken + min(length - piece.count, bytes.count - taken))
            piece.append(addingCapacity: part.count) { room in
                for index in part.indices { room.append(part[index]) }
            }
            taken += part.count
            if piece.count == length { try pass() }
        }
    }

    /// All bytes have come.
    ///
    /// - Throws: `.unavailable` for fewer bytes than the image has room for: the file has shrunk.
    public func finish() throws {
        guard offset == size else { throw changed("shrank") }
    }

    private mutating func pass() throws {
        let whole = piece
        piece = []
        try deliver(whole, offset)
        offset += Int64(whole.count)
    }

    private func changed(_ how: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "source.changed",
            "a file \(how) while it was read: it had \(size) bytes when the image was laid out",
            remedy: "run the build again when nothing writes to the model")
    }
}
