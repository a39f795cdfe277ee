internal import Formats
internal import KapsuleCore
internal import KapsuleIO

struct ConfigDescription: FileDescription {
    let config: ModelConfig

    var kind: String { "config" }
    var words: String { "configuration of a model" }

    private var quantisation: String? {
        config.quantisation.map { method in config.quantisationBits.map { "\(method), \($0) bits" } ?? method }
    }

    func describe(in lines: inout FileLines) {
        lines.add("Architecture", config.architectures.isEmpty ? nil : config.architectures.joined(separator: ", "))
        lines.add("Family", config.modelType)
        lines.add("Precision", config.dataType)
        lines.add("Quantisation", quantisation)
        lines.add("Context", config.contextLength, " tokens")
        lines.add("Embedding", config.embeddingLength)
        lines.add("Layers", config.layerCount)
        lines.add("Vocabulary", config.vocabularySize, " tokens")
        lines.add("Transformers", config.transformersVersion)
        for name in config.customCode { lines.add("Own code", name) }
    }

    var members: [JSON.Member] {
        .init(having: [
            "architectures": .strings(config.architectures), "family": .optional(config.modelType),
            "precision": .optional(config.dataType), "quantisation": .optional(config.quantisation),
            "quantisationBits": .optional(config.quantisationBits), "contextLength": .optional(config.contextLength),
            "embeddingLength": .optional(config.embeddingLength), "layerCount": .optional(config.layerCount),
            "vocabularySize": .optional(config.vocabularySize),
            "transformersVersion": .optional(config.transformersVersion),
            "customCode": config.customCode.isEmpty ? nil : .strings(config.customCode),
        ])
    }
}

struct TokenizerDescription: FileDescription {
    let config: TokenizerConfig

    var kind: String { "tokenizer-config" }
    var words: String { "configuration of a tokenizer" }

    func describe(in lines: inout FileLines) {
        lines.add("Class", config.tokenizerClass)
        lines.add("Begin token", config.beginToken)
        lines.add("End token", config.endToken)
        let template = config.chatTemplate.map { ["\($0.utf8.count) bytes"] } ?? []
        let all = template + config.namedTemplates
        lines.add("Chat template", all.isEmpty ? nil : all.joined(separator: ", "))
    }

    var members: [JSON.Member] {
        .init(having: [
            "class": .optional(config.tokenizerClass), "beginToken": .optional(config.beginToken),
            "endToken": .optional(config.endToken), "chatTemplate": .optional(config.chatTemplate),
            "namedTemplates": config.namedTemplates.isEmpty ? nil : .strings(config.namedTemplates),
        ])
    }
}

struct GenerationDescription: FileDescription {
    let config: GenerationConfig

    var kind: String { "generation-config" }
    var words: String { "defaults of generation" }

    func describe(in lines: inout FileLines) {
        var table = TextTable(.left("  NAME", maximum: 60), .left("VALUE", maximum: 60))
        for setting in config.settings { table.add("  \(setting.name)", setting.value) }
        lines.add("Settings", table)
    }

    var members: [JSON.Member] {
        [.init("settings", .object(config.settings.map { .init($0.name, .string($0.value)) }))]
    }
}

struct TokenizerFileDescription: FileDescription {
    let tokenizer: TokenizerFile

    var kind: String { "tokenizer" }
    var words: String { "tokenizer" }

    func describe(in lines: inout FileLines) {
        lines.add("Algorithm", tokenizer.algorithm)
        lines.add("Vocabulary", tokenizer.vocabularySize, " tokens")
        lines.add("Added", tokenizer.addedCount, " tokens")
        lines.add("Merges", tokenizer.mergeCount > 0 ? tokenizer.mergeCount : nil)
    }

    var members: [JSON.Member] {
        .init(having: [
            "algorithm": .optional(tokenizer.algorithm), "vocabularySize": .int(tokenizer.vocabularySize),
            "addedTokens": .int(tokenizer.addedCount), "merges": .int(tokenizer.mergeCount),
        ])
    }
}

/// The index of a split model, and the files beside it that it names.
struct IndexDescription: FileDescription {
    private struct Part {
        let name: String
        /// As the index has it.
        let tensors: Int
        /// Nil when the file is not there.
        var size: Int64?
        /// What is wrong; nil for a part that is whole.
        var problem: String?
        /// Of its tensors, in bytes; nil where its header does not tell.
        var data: Int64?
    }

    private let index: ShardIndex
    private let parts: [Part]

    /// Reads the headers of the parts.
    init(_ index: ShardIndex, at path: String) throws {
        self.index = index
        let directory = Paths.directory(of: path)
        var counts = [Int](repeating: 0, count: index.shards.count)
        for tensor in index.tensors { counts[tensor.shard] += 1 }
        parts = try index.shards.indices.map { number in
            var part = Part(name: index.shards[number], tensors: counts[number])
            try Self.look(at: &part, number, of: index, in: directory)
            return part
        }
    }

    private static func look(at part: inout Part, _ number: Int, of index: ShardIndex, in directory: String) throws {
        // The name is somebody else's: it leads to no other directory.
        guard (try? BundlePath(validating: part.name)) != nil, !part.name.contains("/"),
            try FileStatus.of("\(directory)/\(part.name)", followsLinks: true)?.kind == .regular
        else {
            part.problem = "missing"
            return
        }
        let source = try FileSource(path: "\(directory)/\(part.name)")
        part.size = source.size
        do {
            guard case .safetensors(let file) = try ModelFile.read(source, name: part.name, what: "it") else { return }
            part.data = file.fileSize - file.dataOffset
            let names = Set(file.tensors.map(\.name))
            let missing = index.tensors.filter { $0.shard == number && !names.contains($0.name) }
            if let first = missing.first { part.problem = "lacks \(missing.count) tensors: \(first.name)" }
        } catch let error as KapsuleError where error.code == .unverified {
            part.problem = error.message
        }
    }

    var kind: String { "index" }
    var words: String { "index of a split model" }

    /// Of all tensors by the parts' headers, in bytes; nil unless every part tells.
    private var dataSize: Int64? {
        let sizes = parts.compactMap(\.data)
        return sizes.count == parts.count ? sizes.reduce(0, +) : nil
    }

    func describe(in lines: inout FileLines) {
        lines.add("Tensors", "\(index.tensors.count) in \(parts.count) files")
        lines.add("Total size", index.totalSize.map { ByteCount.text(Int64(clamping: $0)) })
        if let size = dataSize, let claimed = index.totalSize, claimed != UInt64(size) {
            lines.add("Note", "the index says \(claimed) bytes of tensors, and the files have \(size)")
        }
        var table = TextTable(.left("  FILE"), .right("TENSORS"), .right("SIZE"), .left("PROBLEM"))
        for part in parts {
            table.add("  \(part.name)", "\(part.tensors)", part.size.map(ByteCount.text) ?? "", part.problem ?? "")
        }
        lines.add("Files", table)
    }

    var members: [JSON.Member] {
        .init(having: [
            "tensorCount": .int(Int64(index.tensors.count)),
            "totalSize": .optional(index.totalSize.map { Int64(clamping: $0) }), "dataSize": .optional(dataSize),
            "files": .array(
                parts.map { part in
                    .members([
                        "name": .string(part.name), "tensors": .int(Int64(part.tensors)), "size": .optional(part.size),
                        "problem": .optional(part.problem),
                    ])
                }),
        ])
    }
}
