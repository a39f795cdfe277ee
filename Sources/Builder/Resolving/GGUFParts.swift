internal import Formats
public import KapsuleCore
internal import KapsuleCrypto

/// Models that lie in several GGUF files, for outputs that want one.
public enum GGUFParts {
    /// Whether a model has such files, by their names: `m-00001-of-00003.gguf`.
    public static func areIn(_ bundle: ModelBundle) -> Bool { bundle.files.contains { series(of: $0.path) != nil } }

    /// The same model, the parts of each series joined as they are read: under the name of the first part, which the
    /// Modelfile knows.
    ///
    /// - Throws: `.usage` where parts are not there, `.unverified` where they do not go together.
    public static func joined(_ bundle: ModelBundle) throws -> ModelBundle {
        var parts: [String: [ModelBundle.File]] = [:]
        for file in bundle.files {
            if let series = series(of: file.path) { parts[series, default: []].append(file) }
        }
        var joined: [BundlePath: ModelBundle.File] = [:]
        for (series, files) in parts.sorted(by: { $0.key < $1.key }) {
            if let file = try whole(series, files) { joined[file.path] = file }
        }
        let used = Set(parts.filter { _, files in joined[files[0].path] != nil }.values.flatMap { $0.map(\.path) })
        let files = bundle.files.compactMap { joined[$0.path] ?? (used.contains($0.path) ? nil : $0) }
        return bundle.with(files: files, lanes: LanePolicy().lanes(forSizes: files.map(\.source.size)))
    }

    /// `m-*-of-00003.gguf`; nil for a file that is no part.
    ///
    /// Source: ggml `docs/gguf.md`, naming convention: five digits, counted from 1.
    private static func series(of path: BundlePath) -> String? {
        let text = path.text
        guard text.lowercased().hasSuffix(".gguf") else { return nil }
        let words = text.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
        func isNumber(_ word: Substring) -> Bool {
            word.utf8.count == 5 && word.utf8.allSatisfy { (48...57).contains($0) }
        }
        guard words.count >= 4, words[words.count - 2] == "of", isNumber(words[words.count - 1]),
            isNumber(words[words.count - 3])
        else { return nil }
        return "\(words.dropLast(3).joined(separator: "-"))-*-of-\(words[words.count - 1]).gguf"
    }

    /// Nil where the first file says that it is whole, whatever its name.
    private static func whole(_ series: String, _ files: [ModelBundle.File]) throws -> ModelBundle.File? {
        let files = try files.map(keepingHead)
        let headers = try files.map { try GGUF(reading: $0.source, what: $0.path.text) }
        guard let count = headers[0].split?.count else { return nil }
        guard files.count == count else {
            throw KapsuleError(
                .usage, id: "gguf.parts-missing",
                "\(series) is a model in \(count) parts, and \(files.count) of them \(files.count == 1 ? "is" : "are") here",
                remedy: "name all of them in FROM, or their directory, and leave none out")
        }
        let order = files.indices.sorted { (headers[$0].split?.number ?? 0) < (headers[$1].split?.number ?? 0) }
        let join = try GGUFJoin(order.map { headers[$0] }, what: series)
        return files[0].with(source: ConcatenatedSource(sources(join, order.map { files[$0] })))
    }

    /// The file with its header read once: what is made of it is then what is hashed with the rest. A local file that is
    /// watched needs no such care.
    private static func keepingHead(_ file: ModelBundle.File) throws -> ModelBundle.File {
        guard file.source.digest != nil, !file.source.isWatched else { return file }
        let end = try GGUF(reading: file.source, what: file.path.text).dataOffset
        guard end <= KeptHead.limit else {
            throw KapsuleError(
                .usage, id: "gguf.long-header",
                "the header of \(file.path) has \(end) bytes, too many to join the model's parts on their way",
                remedy: "fetch the model into a directory first, and build from that")
        }
        return file.with(source: try KeptHead(file.source, upTo: min(end, file.source.size)))
    }

    private static func sources(_ join: GGUFJoin, _ files: [ModelBundle.File]) -> [any ByteSource] {
        let header = join.header.map { piece -> any ByteSource in
            switch piece {
            case .bytes(let bytes): MemorySource(bytes)
            case .first(let range): SliceSource(files[0].source, range)
            case .zeros(let count): ZeroSource(size: count)
            }
        }
        return header
            + zip(files, join.data).flatMap { file, data -> [any ByteSource] in
                [ProvenSlice(of: file, data.range), ZeroSource(size: data.padding)]
            }
    }
}

/// A source whose first bytes were read before, and are not read again.
private struct KeptHead: ByteSource {
    /// Bytes that are kept at most.
    static let limit: Int64 = 32 << 20

    private let base: any ByteSource
    private let head: [UInt8]

    init(_ base: any ByteSource, upTo end: Int64) throws {
        self.base = base
        var sink = MemorySink()
        try base.read(0..<end, into: &sink)
        head = sink.bytes
    }

    var size: Int64 { base.size }
    var digest: Digest? { base.digest }
    var place: BytePlace { base.place }
    var backing: ByteBacking { .stream }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        let kept = Int64(head.count)
        let front = range.clamped(to: 0..<kept)
        if !front.isEmpty { try sink.write(head.span.extracting(Int(front.lowerBound)..<Int(front.upperBound))) }
        let rest = range.clamped(to: kept..<max(kept, size))
        if !rest.isEmpty { try base.read(rest, into: &sink) }
    }
}

/// A part of a file that is checked against what is promised of all of the file whenever all of the part is read.
private struct ProvenSlice: ByteSource {
    private let file: ModelBundle.File
    private let range: Range<Int64>

    init(of file: ModelBundle.File, _ range: Range<Int64>) {
        self.file = file
        self.range = range
    }

    private var base: any ByteSource { file.source }
    var size: Int64 { range.upperBound - range.lowerBound }
    /// Nobody takes it but through `read`, which checks it.
    var backing: ByteBacking { .stream }

    func read(_ part: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        guard part == 0..<size, let promised = base.digest, !base.isWatched else {
            return try base.read(range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound, into: &sink)
        }
        let digest = try digest { try sink.write($0) }
        guard digest == promised else {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "\(file.path) is not what its source promised: expected \(promised), got \(digest)",
                remedy: "run the build again with --no-cache; if it happens again, the source itself is damaged")
        }
    }

    /// Reads all of the file.
    ///
    /// - Parameter pass: takes the bytes of the part.
    private func digest(_ pass: (Span<UInt8>) throws -> Void) throws -> Digest {
        try withoutActuallyEscaping(pass) { pass in
            var sink = WindowSink(window: range, pass: pass)
            try base.read(0..<base.size, into: &sink)
            return sink.hash.finalize()
        }
    }
}

/// Hashes all that comes, and passes a window of it on.
private struct WindowSink: ByteSink, ~Copyable {
    let window: Range<Int64>
    let pass: (Span<UInt8>) throws -> Void
    var hash = HashingSink()

    init(window: Range<Int64>, pass: @escaping (Span<UInt8>) throws -> Void) {
        self.window = window
        self.pass = pass
    }

    mutating func write(_ bytes: Span<UInt8>) throws {
        let start = hash.count
        hash.write(bytes)
        let seen = window.clamped(to: start..<hash.count)
        if !seen.isEmpty { try pass(bytes.extracting(Int(seen.lowerBound - start)..<Int(seen.upperBound - start))) }
    }
}
