internal import Formats
internal import KapsuleCore

/// The files of one lane on their way into an image. The reading thread only copies; hashing and writing happen on the
/// session's queues, so that a single large file keeps all cores busy.
final class ImageLaneSink: LaneSink {
    let digestsFiles = false
    private let assembly: ImageAssembly
    private let queues: WorkQueues
    private let batch = WorkQueues.Batch()
    private var current: ImageFileSink?

    init(_ assembly: ImageAssembly, _ queues: WorkQueues) {
        self.assembly = assembly
        self.queues = queues
    }

    func beginFile(_ index: Int) throws {
        let (assembly, queues, batch) = (assembly, queues, batch)
        current = ImageFileSink(size: assembly.map.files[index]?.size ?? 0) { piece, offset in
            try queues.run(in: batch) { try assembly.add(piece.span, toFile: index, at: offset) }
        }
    }

    func write(_ bytes: Span<UInt8>) throws { try current?.write(bytes) }

    func endFile(_ index: Int) throws -> Digest? {
        try current?.finish()
        current = nil
        return nil
    }

    func finish() throws { try batch.wait() }
    /// What has been written stays in a file that nobody will name; a further attempt writes over it.
    func abandon() { try? batch.wait() }
}
