internal import KapsuleCore
internal import KapsuleIO
internal import Ollama

/// The files of one lane that the store lacks, a blob each. The others pass by.
final class OllamaLaneSink: LaneSink {
    // Whoever hands out the bytes hashes them: here, or in another output.
    let digestsFiles = false
    private let missing: [Int]
    private let bundle: ModelBundle
    private let store: OllamaStore
    private let done: ([Int: AtomicFile]) -> Void
    private var current: AtomicFile?
    private var sink: FileSink?
    private var whole: [Int: AtomicFile] = [:]

    /// - Parameters:
    ///   - missing: indices into the bundle's files.
    ///   - done: gets the files, by their index, when all of the lane has come.
    init(
        _ missing: [Int], of bundle: ModelBundle, to store: OllamaStore, done: @escaping ([Int: AtomicFile]) -> Void
    ) {
        self.missing = missing
        self.bundle = bundle
        self.store = store
        self.done = done
    }

    func beginFile(_ index: Int) throws {
        guard missing.contains(index) else { return }
        let file = try store.newBlob()
        current = file
        // A clone is of the file as it is now; that it was so when it was read, the source itself makes sure of.
        let source = bundle.files[index].source
        if try Self.clone(source, into: file) { return }
        try file.file.reserve(source.size)
        sink = FileSink(file.file)
    }

    private static func clone(_ source: any ByteSource, into file: AtomicFile) throws -> Bool {
        try file.file.clone(source)
    }

    func write(_ bytes: Span<UInt8>) throws { try sink?.write(bytes) }

    func endFile(_ index: Int) throws -> Digest? {
        whole[index] = current
        (current, sink) = (nil, nil)
        return nil
    }

    func finish() throws { done(whole) }

    func abandon() { (whole, current, sink) = ([:], nil, nil) }
}
