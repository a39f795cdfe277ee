public import KapsuleCore

/// Finds out what a model's files say of it.
public enum ModelFactsReader {
    /// Reads headers and configs, and no weights.
    ///
    /// - Parameters:
    ///   - files: of the bundle, ascending.
    ///   - isOwn: whether a file is the model's own, rather than that of an adapter or a draft model.
    /// - Throws: `.unverified` for damaged files, and what the sources throw.
    public static func facts(of files: [ModelBundle.File], isOwn: (BundlePath) -> Bool) throws -> ModelFacts {
        let own = files.filter { isOwn($0.path) }
        var facts = ModelFacts()
        let config = try read(own, named: "config.json").map {
            try ModelConfig(reading: $0.source, what: $0.path.text)
        }
        facts.architecture = config?.architectures.first
        facts.family = config?.modelType
        facts.contextLength = config?.contextLength
        facts.embeddingLength = config?.embeddingLength
        facts.quantisation = config?.quantisation
        let weights = WeightSet(own)
        facts.format = weights.format
        switch weights.format {
        case .gguf?: try facts.take(weights.files)
        case .safetensors?: try facts.takeSafetensors(weights.files)
        case .pytorch?, nil: break
        }
        if facts.precisions.isEmpty, let type = config?.dataType { facts.precisions = [type] }
        facts.chatTemplate = try facts.chatTemplate ?? template(own)
        facts.license = try facts.license ?? read(own, named: "README.md").flatMap { try license($0.source) }
        return facts
    }

    /// The file at the root of the model.
    private static func read(_ files: [ModelBundle.File], named name: String) -> ModelBundle.File? {
        files.first { $0.path.text == name }
    }

    /// Source: transformers `tokenization_utils_base.py`: the file of its own wins.
    private static func template(_ files: [ModelBundle.File]) throws -> String? {
        if let file = read(files, named: "chat_template.jinja") {
            let bytes = try file.source.readAll(limit: 4 << 20, what: file.path.text)
            return String(decoding: bytes, as: UTF8.self)
        }
        return try read(files, named: "tokenizer_config.json").flatMap {
            try TokenizerConfig(reading: $0.source, what: $0.path.text).chatTemplate
        }
    }

    /// `license:` of the YAML between two lines of `---` that begin a model card.
    ///
    /// Source: huggingface.co/docs/hub/model-cards.
    static func license(_ source: any ByteSource) throws -> String? {
        var sink = MemorySink()
        try source.read(0..<min(source.size, 64 << 10), into: &sink)
        let licenses = FrontMatter(String(decoding: sink.bytes, as: UTF8.self))?.values(of: "license") ?? []
        // `other` and `unknown` are no licences, and lists are more than one.
        guard licenses.count == 1, !["other", "unknown"].contains(licenses[0]) else { return nil }
        return licenses[0]
    }
}

/// The files that hold a model's weights, of all that look as if they did: one form of several that a repository has.
struct WeightSet {
    let format: ModelFacts.Format?
    let files: [ModelBundle.File]

    /// Source: the order of Ollama's create and of transformers: safetensors, then PyTorch, then GGUF.
    init(_ files: [ModelBundle.File]) {
        let weights = files.filter { $0.role == .weights }
        func group(_ endings: [String], _ prefixes: [String]) -> [ModelBundle.File] {
            let candidates = weights.filter { file in endings.contains { file.path.name.lowercased().hasSuffix($0) } }
            for prefix in prefixes {
                let group = candidates.filter { $0.path.name.hasPrefix(prefix) }
                if !group.isEmpty { return group }
            }
            return candidates
        }
        let groups: [(ModelFacts.Format, [ModelBundle.File])] = [
            (.safetensors, group([".safetensors"], ["model", "diffusion_pytorch_model", "consolidated"])),
            (.pytorch, group([".bin", ".pt", ".pth", ".ckpt"], ["pytorch_model", "consolidated"])),
            (.gguf, group([".gguf"], [])),
        ]
        // A GGUF file beside a stray .bin is the model; beside safetensors it is another form of it.
        let order: [ModelFacts.Format] = groups[0].1.isEmpty ? [.gguf, .pytorch] : [.safetensors]
        let found = order.compactMap { format in groups.first { $0.0 == format && !$0.1.isEmpty } }.first
        format = found?.0
        self.files = found?.1 ?? []
    }
}

extension ModelFacts {
    /// What GGUF files say: the first that is a model, with the parts it was split into.
    fileprivate mutating func take(_ files: [ModelBundle.File]) throws {
        var sum: Int64 = 0
        var first: GGUF?
        for file in files {
            let gguf = try GGUF(reading: file.source, what: file.path.text)
            guard gguf.kind == .model else { continue }
            if first == nil {
                first = gguf
            } else if first?.split == nil || gguf.split == nil {
                continue  // Another form of the model, such as another quantisation.
            }
            sum = sum.addingReportingOverflow(gguf.parameterCount).partialValue
        }
        guard let first else { return }
        parameters = sum
        architecture = first.architecture ?? architecture
        family = first.architecture ?? family
        name = first["general.name"]?.text
        license = first["general.license"]?.text
        contextLength = first.contextLength ?? contextLength
        embeddingLength = first.embeddingLength ?? embeddingLength
        chatTemplate = first.chatTemplate
        let plain = ["F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"]
        let type = first.mainTensorType?.name ?? ""
        precisions = plain[type].map { [$0] } ?? []
        quantisation = plain[type] != nil ? nil : first.fileType == "unknown" ? type : first.fileType
        if quantisation?.isEmpty == true { quantisation = nil }
    }

    fileprivate mutating func takeSafetensors(_ files: [ModelBundle.File]) throws {
        var sum: Int64 = 0
        var elements: [Safetensors.DataType: Int64] = [:]
        for file in files {
            let weights = try Safetensors(reading: file.source, what: file.path.text)
            for tensor in weights.tensors {
                sum = sum.addingReportingOverflow(tensor.elements).partialValue
                elements[tensor.type, default: 0] =
                    elements[tensor.type, default: 0].addingReportingOverflow(tensor.elements).partialValue
            }
        }
        parameters = sum
        let types = elements.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }.map(\.key.torchName)
        // Two types may have one name in PyTorch.
        for type in types where !precisions.contains(type) { precisions.append(type) }
    }
}
