internal import Formats
internal import KapsuleCore
internal import KapsuleIO

/// The files of one lane on their way into an image. Hashing and writing happen on the session's queues, and so does the
/// reading of a large local file; of other bytes the reading thread makes copies. A single file keeps all cores busy.
final class ImageLaneSink: RangeLaneSink {
    /// Bytes of a file that one piece of work reads: few enough to share a file evenly, many enough to be worth it.
    private static let stride = 4 << 20

    let digestsFiles = false
    private let assembly: ImageAssembly
    private let queues: WorkQueues
    /// The assembly's storage.
    private let file: FileStorage
    private let mayClone: Bool
    private let batch = WorkQueues.Batch()
    private var current: ImageFileSink?
    private var currentIndex = 0
    private var isReserved = false

    /// - Parameters:
    ///   - file: the assembly's storage.
    ///   - mayClone: whether local files may share their blocks with it.
    init(_ assembly: ImageAssembly, _ queues: WorkQueues, into file: FileStorage, mayClone: Bool) {
        self.assembly = assembly
        self.queues = queues
        self.file = file
        self.mayClone = mayClone
    }

    func beginFile(_ index: Int) throws {
        let (assembly, queues, batch, blocks) = (assembly, queues, batch, queues.blocks)
        currentIndex = index
        isReserved = false
        current = ImageFileSink(size: assembly.map.files[index]?.size ?? 0, blocks: blocks) { piece, offset in
            try queues.run(in: batch) {
                try piece.withBytes { try assembly.add($0, toFile: index, at: offset) }
                blocks.giveBack(piece)
            }
        }
    }

    func write(_ bytes: Span<UInt8>) throws {
        try reserve()
        try current?.write(bytes)
    }

    /// Takes room for a file: on a full disk before its bytes are read, and several threads then write to it at once.
    private func reserve() throws {
        guard !isReserved else { return }
        isReserved = true
        guard let data = assembly.map.files[currentIndex]?.data, data.length >= DirectFile.smallest else { return }
        try file.file.reserve(file.base + data.offset..<file.base + data.offset + data.length)
    }

    func take(_ source: any ByteSource, _ activity: Activity) throws {
        let (assembly, index) = (assembly, currentIndex)
        current = nil
        let isCloned = try clone(source)
        if !isCloned { try reserve() }
        for start in Swift.stride(from: 0, to: source.size, by: Self.stride) {
            try Task.checkNotInterrupted()
            try queues.run(in: batch) {
                let end = min(start + Int64(Self.stride), source.size)
                var piece = PlacedBytes(
                    assembly: assembly, file: index, from: start, to: end, isCloned: isCloned, activity)
                try source.read(start..<end, into: &piece)
            }
        }
    }

    /// Has the file system share the file's whole blocks with the image, where it can: they are hashed only. That the
    /// source does not change meanwhile, reading it makes sure.
    private func clone(_ source: any ByteSource) throws -> Bool {
        guard mayClone, let data = assembly.map.files[currentIndex]?.data else { return false }
        let whole = data.length / Int64(EROFS.blockSize) * Int64(EROFS.blockSize)
        guard whole > 0, whole <= source.size else { return false }
        var image = FileSink(file.file, at: file.base + data.offset)
        return try image.clone(SliceSource(source, 0..<whole))
    }

    func endFile(_ index: Int) throws -> Digest? {
        try current?.finish()
        current = nil
        return nil
    }

    func finish() throws { try batch.wait() }
    /// What has been written stays in a file that nobody will name; a further attempt writes over it.
    func abandon() { try? batch.wait() }
}

/// A range of a file, which goes to its place in the image as it is read.
private struct PlacedBytes: ByteSink {
    private let assembly: ImageAssembly
    private let file: Int
    /// From the start of the file.
    private var offset: Int64
    private let end: Int64
    private let isCloned: Bool
    private let activity: Activity
    /// What a short read left of a block.
    private var pending: [UInt8] = []

    init(
        assembly: ImageAssembly, file: Int, from start: Int64, to end: Int64, isCloned: Bool, _ activity: Activity
    ) {
        self.assembly = assembly
        self.file = file
        offset = start
        self.end = end
        self.isCloned = isCloned
        self.activity = activity
    }

    mutating func write(_ bytes: Span<UInt8>) throws {
        activity.advance(by: bytes.count)
        guard !pending.isEmpty || !isWhole(bytes.count) else { return try place(bytes) }
        for index in bytes.indices { pending.append(bytes[index]) }
        guard isWhole(pending.count) else { return }
        let gathered = pending
        pending = []
        try place(gathered.span)
    }

    /// Whether so many more bytes end where a block or the range does.
    private func isWhole(_ count: Int) -> Bool { offset + Int64(count) == end || count % EROFS.blockSize == 0 }

    private mutating func place(_ bytes: Span<UInt8>) throws {
        try assembly.add(bytes, toFile: file, at: offset, isInPlace: isCloned)
        offset += Int64(bytes.count)
    }
}
