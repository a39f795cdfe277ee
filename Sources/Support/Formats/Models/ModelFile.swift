public import KapsuleCore

/// A file of a model, read as far as its headers say what it is.
public enum ModelFile: Sendable {
    case gguf(GGUF)
    case safetensors(Safetensors)
    case index(ShardIndex)
    case checkpoint(Checkpoint)
    case config(ModelConfig)
    case tokenizerConfig(TokenizerConfig)
    case generationConfig(GenerationConfig)
    case tokenizer(TokenizerFile)
    /// Recognised by its first bytes, and not looked into.
    case other(FileSign)

    /// Endings of files that hold weights.
    private static let checkpointEndings = [".bin", ".pt", ".pth", ".ckpt", ".pkl"]

    /// - Parameters:
    ///   - name: without directories; tells apart what content does not.
    ///   - what: names the file in errors.
    ///   - arrays: keys of a GGUF file whose arrays are wanted.
    /// - Throws: `.unverified` for a file that is not what its name or its beginning says.
    public static func read(
        _ source: any ByteSource, name: String, what: String, keeping arrays: Set<String> = []
    ) throws -> ModelFile {
        let head = try FileSign.head(of: source)
        let sign = FileSign(head: head, size: source.size, name: name)
        try refuseStandIn(sign, name: name, what: what, size: source.size)
        if let document = try document(source, name: name, what: what) { return document }
        switch sign {
        case .gguf, .obsolete: return .gguf(try GGUF(reading: source, what: what, keeping: arrays))
        case .safetensors: return .safetensors(try Safetensors(reading: source, what: what))
        case .zip, .pickle, .tar:
            let checkpoint = try Checkpoint.read(
                source, head: head, what: what, isExpected: isCheckpointName(name.lowercased()))
            if let checkpoint { return .checkpoint(checkpoint) }
            return try named(source, name: name, what: what, sign, arrays)
        default: return try named(source, name: name, what: what, sign, arrays)
        }
    }

    /// What is expected under that name, whatever the first bytes are: its reader says what is wrong.
    private static func named(
        _ source: any ByteSource, name: String, what: String, _ sign: FileSign, _ arrays: Set<String>
    ) throws -> ModelFile {
        let lower = name.lowercased()
        if lower.hasSuffix(".safetensors") { return .safetensors(try Safetensors(reading: source, what: what)) }
        if lower.hasSuffix(".gguf") { return .gguf(try GGUF(reading: source, what: what, keeping: arrays)) }
        return .other(sign)
    }

    private static func document(_ source: any ByteSource, name: String, what: String) throws -> ModelFile? {
        if ShardIndex.isOne(name) { return .index(try ShardIndex(reading: source, what: what)) }
        switch name {
        case "config.json": return .config(try ModelConfig(reading: source, what: what))
        case "tokenizer_config.json": return .tokenizerConfig(try TokenizerConfig(reading: source, what: what))
        case "generation_config.json":
            return .generationConfig(try GenerationConfig(reading: source, what: what))
        case "tokenizer.json" where source.size > 0: return .tokenizer(try TokenizerFile(reading: source, what: what))
        default: return nil
        }
    }

    /// Names of documents that are read as what they are called.
    public static let documentNames = [
        "config.json", "tokenizer_config.json", "generation_config.json", "tokenizer.json",
    ]

    /// Other programs than PyTorch call their weights `.bin`, too.
    private static func isCheckpointName(_ name: String) -> Bool {
        guard name.hasSuffix(".bin") else { return checkpointEndings.contains(where: name.hasSuffix) }
        return ["pytorch_model", "adapter_model", "diffusion_pytorch_model"].contains(where: name.hasPrefix)
    }

    /// Refuses what stands in place of weights.
    private static func refuseStandIn(_ sign: FileSign, name: String, what: String, size: Int64) throws {
        let lower = name.lowercased()
        let isWeights = ([".safetensors", ".gguf"] + checkpointEndings).contains(where: lower.hasSuffix)
        switch sign {
        case .lfsPointer:
            throw KapsuleError(
                .unverified, id: "weights.lfs-pointer",
                "\(what) is a Git LFS pointer of \(size) bytes, not the file that it stands for",
                remedy: "run 'git lfs pull' in the repository, or fetch the file from the hub")
        case .webPage where isWeights:
            throw KapsuleError(
                .unverified, id: "weights.web-page", "\(what) is a web page: the server sent it in place of the file",
                remedy: "fetch it again; the address may need a login")
        case .empty where isWeights:
            throw KapsuleError(
                .unverified, id: "weights.empty", "\(what) is empty", remedy: "fetch it again")
        default: return
        }
    }
}
