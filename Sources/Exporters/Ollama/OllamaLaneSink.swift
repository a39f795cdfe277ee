internal import KapsuleCore
internal import KapsuleIO
internal import Ollama

/// The files of one lane that the store lacks, a blob each. The others pass by.
final class OllamaLaneSink: LaneSink {
    // Whoever hands out the bytes hashes them: here, or in another output.
    let digestsFiles = false
    private let missing: [Int]
    private let make: (Int) throws -> OllamaBlobFile
    private var current: OllamaBlobFile?
    private var last: OllamaBlobFile?
    private var ended: [OllamaBlobFile] = []

    /// - Parameters:
    ///   - missing: indices into the bundle's files.
    ///   - make: a place for the file of that index.
    init(_ missing: [Int], make: @escaping (Int) throws -> OllamaBlobFile) {
        self.missing = missing
        self.make = make
    }

    func beginFile(_ index: Int) throws { current = missing.contains(index) ? try make(index) : nil }

    func write(_ bytes: Span<UInt8>) throws { try current?.write(bytes) }

    func endFile(_ index: Int) throws -> Digest? {
        try current?.end()
        if let current { ended.append(current) }
        (last, current) = (current, nil)
        return nil
    }

    func finish() throws { for file in ended { file.isWhole = true } }

    func abandon() {
        // Given up between two files: what ended last was not what it should have been.
        if current == nil { last?.discard() }
        (ended, current, last) = ([], nil, nil)
    }
}
