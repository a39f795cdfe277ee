public import KapsuleCore

/// What `tokenizer.json` holds, counted and not kept: vocabularies have a quarter of a million words.
///
/// Source: huggingface/tokenizers `tokenizer/serialization.rs`.
public struct TokenizerFile: Sendable, Hashable {
    /// Longest that is read, in bytes.
    public static let limit: Int64 = 256 << 20

    /// `BPE`, `WordPiece`, `Unigram`, `WordLevel`.
    public var algorithm: String?
    /// Words of the vocabulary itself.
    public var vocabularySize: Int64 = 0
    /// Pairs that are merged.
    public var mergeCount: Int64 = 0
    /// Words that were added to it.
    public var addedCount: Int64 = 0

    /// - Throws: `.unverified` for what is no JSON object.
    public init(reading source: any ByteSource, what: String) throws {
        var scanner = try JSONScanner(document: source, what: what, limit: Self.limit)
        try scanner.requireObject(what)
        try scanner.object { name, scanner in
            switch name {
            case "added_tokens": addedCount = try Self.count(&scanner)
            case "model" where try scanner.kind() == .object:
                try scanner.object { name, scanner in
                    switch name {
                    case "type": algorithm = try scanner.text(limit: 1024)
                    case "vocab": vocabularySize = try Self.count(&scanner)
                    case "merges": mergeCount = try Self.count(&scanner)
                    default: try scanner.skip()
                    }
                }
            default: try scanner.skip()
            }
        }
        try scanner.finish()
    }

    /// Members of an object, or elements of an array.
    private static func count(_ scanner: inout JSONScanner) throws -> Int64 {
        var count: Int64 = 0
        switch try scanner.kind() {
        case .object:
            try scanner.object { _, scanner in
                count += 1
                try scanner.skip()
            }
        case .array:
            try scanner.array { scanner in
                count += 1
                try scanner.skip()
            }
        default: try scanner.skip()
        }
        return count
    }
}

/// What `generation_config.json` sets: defaults of sampling, and special tokens.
public struct GenerationConfig: Sendable, Hashable {
    /// Longest that is read, in bytes.
    public static let limit: Int64 = 1 << 20

    /// Members with one value each, in the order of the file, as it writes them: `temperature`, `0.6`.
    public private(set) var settings: [Setting] = []

    public struct Setting: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    /// - Throws: `.unverified` for what is no JSON object.
    public init(reading source: any ByteSource, what: String) throws {
        var scanner = try JSONScanner(document: source, what: what, limit: Self.limit)
        try scanner.requireObject(what)
        try scanner.object { name, scanner in
            if let value = try scanner.scalar(limit: 4096) { settings.append(Setting(name: name, value: value)) }
        }
        try scanner.finish()
    }
}
