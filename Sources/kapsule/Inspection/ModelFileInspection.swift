internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A file of a model in words, and as JSON: what its header says.
struct ModelFileInspection {
    let path: String
    let listsTensors: Bool
    private let source: FileSource
    private let file: ModelFile

    /// Nil for what is no regular file, or none of a model.
    ///
    /// - Throws: `.unverified` for a file that is damaged.
    init?(_ path: String, listsTensors: Bool) throws {
        guard try FileStatus.of(path, followsLinks: true)?.kind == .regular else { return nil }
        source = try FileSource(path: path)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let sign = FileSign(head: try FileSign.head(of: source), size: source.size, name: name)
        guard Self.isOfModel(sign, name) else { return nil }
        file = try ModelFile.read(source, name: name, what: Printable.text(path))
        if case .other(let sign) = file, sign.words == nil || sign == .tar { return nil }
        self.path = path
        self.listsTensors = listsTensors
    }

    /// What is not recognised may still have a name that says what it should be.
    private static func isOfModel(_ sign: FileSign, _ name: String) -> Bool {
        switch sign {
        case .unknown, .empty, .webPage:
            [".gguf", ".safetensors"].contains(where: name.lowercased().hasSuffix) || ShardIndex.isOne(name)
                || ModelFile.documentNames.contains(name)
        default: true
        }
    }

    /// Reads all of the file.
    func digest(_ progress: any ProgressReporter) throws -> Digest {
        try progress.during("hash \(path)", total: source.size) { activity in
            try CountedHash.digest(of: source, activity)
        }
    }

    private var description: any FileDescription {
        get throws {
            switch file {
            case .gguf(let gguf): GGUFDescription(gguf: gguf, listsTensors: listsTensors)
            case .safetensors(let weights): SafetensorsDescription(weights: weights, listsTensors: listsTensors)
            case .index(let index): try IndexDescription(index, at: path)
            case .checkpoint(let checkpoint): CheckpointDescription(checkpoint: checkpoint)
            case .config(let config): ConfigDescription(config: config)
            case .tokenizerConfig(let config): TokenizerDescription(config: config)
            case .generationConfig(let config): GenerationDescription(config: config)
            case .tokenizer(let tokenizer): TokenizerFileDescription(tokenizer: tokenizer)
            case .other(let sign): OtherDescription(words: sign.words ?? "")
            }
        }
    }

    /// - Parameter digest: where it was asked for.
    func text(_ digest: Digest?) throws -> String {
        let description = try description
        var lines = FileLines()
        lines.add("Name", path)
        lines.add("Kind", description.words)
        lines.add("Size", ByteCount.text(source.size))
        lines.add("Digest", digest?.description)
        description.describe(in: &lines)
        return lines.text
    }

    func json(_ digest: Digest?) throws -> JSON {
        let description = try description
        let head: [JSON.Member?] = [
            .init("path", .string(path)), .init("kind", .string(description.kind)), .init("size", .int(source.size)),
            digest.map { .init("digest", .string($0.description)) },
        ]
        return .object(head.compactMap(\.self) + description.members)
    }
}

/// What one kind of file has to say.
protocol FileDescription {
    /// For scripts.
    var kind: String { get }
    /// For people.
    var words: String { get }
    var members: [JSON.Member] { get }
    func describe(in lines: inout FileLines)
}

/// Lines of a name and a value each, and tables.
struct FileLines {
    private var lines: [String] = []

    var text: String { lines.joined(separator: "\n") }

    /// Does nothing without a value.
    mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        let label = "\(name):"
        lines.append(label + String(repeating: " ", count: max(1, 15 - label.count)) + Printable.text(value))
    }

    mutating func add(_ name: String, _ value: Int64?, _ unit: String = "") {
        add(name, value.map { "\($0)\(unit)" })
    }

    mutating func add(_ title: String, _ table: TextTable) {
        let rows = table.rendered().split(separator: "\n").map(String.init)
        if !rows.isEmpty { lines += ["\(title):"] + rows }
    }
}

extension [JSON.Member] {
    /// Members that have a value.
    init(having members: KeyValuePairs<String, JSON?>) {
        self = members.compactMap { name, value in value.map { JSON.Member(name, $0) } }
    }
}

extension JSON {
    static func optional(_ text: String?) -> JSON? { text.map { .string($0) } }
    static func optional(_ number: Int64?) -> JSON? { number.map { .int($0) } }
    static func strings(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
}

/// `226 Q4_K, 65 F32`: the most frequent first.
func tensorTypes(_ names: [String]) -> [(name: String, count: Int)] {
    var counts: [String: Int] = [:]
    for name in names { counts[name, default: 0] += 1 }
    return counts.map { (name: $0.key, count: $0.value) }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
}

private struct OtherDescription: FileDescription {
    let words: String
    var kind: String { words }
    var members: [JSON.Member] { [] }
    func describe(in lines: inout FileLines) {}
}
