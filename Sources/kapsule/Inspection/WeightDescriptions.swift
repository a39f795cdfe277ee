internal import Formats
internal import KapsuleCore
internal import Ollama

struct GGUFDescription: FileDescription {
    let gguf: GGUF
    let listsTensors: Bool

    var kind: String { "gguf" }
    var words: String {
        "GGUF \(gguf.kind.rawValue), version \(gguf.version)\(gguf.isBigEndian ? ", most significant byte first" : "")"
    }

    private var dataSize: Int64 { gguf.tensors.reduce(0) { max($0, $1.offset + $1.size) } }
    private var types: [(name: String, count: Int)] { tensorTypes(gguf.tensors.map(\.type.name)) }

    func describe(in lines: inout FileLines) {
        lines.add("Title", gguf["general.name"]?.text)
        lines.add("Architecture", gguf.architecture)
        lines.add("Parameters", "\(ParameterCount.text(gguf.parameterCount)) (\(gguf.parameterCount))")
        lines.add("File type", gguf.fileType)
        lines.add("Context", gguf.contextLength, " tokens")
        lines.add("Embedding", gguf.embeddingLength)
        lines.add("Blocks", gguf.blockCount)
        lines.add("Licence", gguf["general.license"]?.text)
        lines.add("Part", gguf.split.map { "\($0.number + 1) of \($0.count)" })
        lines.add("Vocabulary", gguf.vocabularySize, " tokens")
        lines.add("Begin, end", tokens)
        lines.add("Chat template", templates)
        let types = types.map { "\($0.count) \($0.name)" }.joined(separator: ", ")
        lines.add("Tensors", "\(gguf.tensors.count)\(types.isEmpty ? "" : ": \(types)")")
        lines.add("Data", "\(ByteCount.text(dataSize)) from byte \(gguf.dataOffset)")
        for remark in gguf.remarks { lines.add("Note", remark) }
        var table = TextTable(.left("  KEY", maximum: 60), .left("TYPE"), .left("VALUE", maximum: 60))
        for entry in gguf.metadata { table.add("  \(entry.key)", "\(entry.value.type)", Self.text(entry.value)) }
        lines.add("Metadata", table)
        if listsTensors { listTensors(in: &lines) }
    }

    private var tokens: String? {
        let numbers = [gguf.beginToken, gguf.endToken]
        return numbers.allSatisfy { $0 == nil }
            ? nil : numbers.map { $0.map { "token \($0)" } ?? "none" }.joined(separator: ", ")
    }

    private var templates: String? {
        let named = gguf.namedChatTemplates.map(\.name)
        guard let text = gguf.chatTemplate else { return named.isEmpty ? nil : named.joined(separator: ", ") }
        let family = family.map { ["of the family \($0)"] } ?? []
        return (["\(text.utf8.count) bytes"] + family + named).joined(separator: ", ")
    }

    /// Whose template a model for Ollama gets.
    private var family: String? {
        gguf.chatTemplate.flatMap { ChatFamily.of($0, endToken: gguf.endToken)?.name }
    }

    private static func text(_ value: GGUF.Value) -> String {
        switch value {
        case .uint8, .int8, .uint16, .int16, .uint32, .int32, .int64: value.integer.map(String.init) ?? ""
        case .uint64(let number): "\(number)"
        case .float32(let number): "\(number)"
        case .float64(let number): "\(number)"
        case .bool(let isTrue): "\(isTrue)"
        case .string(let text): String(text.prefix(200))
        case .array(let list): "\(list.count) of \(list.type)"
        }
    }

    private func listTensors(in lines: inout FileLines) {
        var table = TextTable(.left("  NAME"), .left("TYPE"), .left("DIMENSIONS"), .right("SIZE"), .right("OFFSET"))
        for tensor in gguf.tensors {
            let dimensions = tensor.dimensions.map(String.init).joined(separator: " × ")
            table.add(
                "  \(tensor.name)", tensor.type.name, dimensions, ByteCount.text(tensor.size), "\(tensor.offset)")
        }
        lines.add("Tensors", table)
    }

    var members: [JSON.Member] {
        .init(having: [
            "version": .int(Int64(gguf.version)), "byteOrder": .string(gguf.isBigEndian ? "big" : "little"),
            "use": .string(gguf.kind.rawValue), "architecture": .optional(gguf.architecture),
            "parameters": .int(gguf.parameterCount), "parameterSize": .string(ParameterCount.text(gguf.parameterCount)),
            "fileType": .string(gguf.fileType), "contextLength": .optional(gguf.contextLength),
            "embeddingLength": .optional(gguf.embeddingLength), "blockCount": .optional(gguf.blockCount),
            "license": .optional(gguf["general.license"]?.text),
            "split": gguf.split.map { .members(["number": .int($0.number), "count": .int($0.count)]) },
            "chatTemplate": .optional(gguf.chatTemplate), "chatFamily": .optional(family),
            "alignment": .int(gguf.alignment),
            "dataOffset": .int(gguf.dataOffset), "tensorCount": .int(Int64(gguf.tensors.count)),
            "tensorTypes": .object(types.map { .init($0.name, .int(Int64($0.count))) }),
            "metadata": .object(gguf.metadata.map { .init($0.key, Self.json($0.value)) }),
            "remarks": gguf.remarks.isEmpty ? nil : .strings(gguf.remarks),
            "tensors": listsTensors ? .array(gguf.tensors.map(Self.json)) : nil,
        ])
    }

    private static func json(_ value: GGUF.Value) -> JSON {
        switch value {
        case .uint8, .int8, .uint16, .int16, .uint32, .int32, .int64: value.integer.map { .int($0) } ?? .null
        case .uint64(let number): Int64(exactly: number).map { .int($0) } ?? .string("\(number)")
        // As its shortest digits say it, not as the double next to it does.
        case .float32(let number): .double(Double("\(number)") ?? Double(number))
        case .float64(let number): .double(number)
        case .bool(let isTrue): .bool(isTrue)
        case .string(let text): .string(text)
        case .array(let list): .members(["type": .string("\(list.type)"), "count": .int(list.count)])
        }
    }

    private static func json(_ tensor: GGUF.Tensor) -> JSON {
        .members([
            "name": .string(tensor.name), "type": .string(tensor.type.name),
            "dimensions": .array(tensor.dimensions.map { .int($0) }), "offset": .int(tensor.offset),
            "size": .int(tensor.size),
        ])
    }
}

struct SafetensorsDescription: FileDescription {
    let weights: Safetensors
    let listsTensors: Bool

    var kind: String { "safetensors" }
    var words: String { "safetensors" }

    private var types: [(name: String, count: Int)] { tensorTypes(weights.tensors.map(\.type.rawValue)) }

    func describe(in lines: inout FileLines) {
        lines.add("Parameters", "\(ParameterCount.text(weights.parameterCount)) (\(weights.parameterCount))")
        let types = types.map { "\($0.count) \($0.name)" }.joined(separator: ", ")
        lines.add("Tensors", "\(weights.tensors.count)\(types.isEmpty ? "" : ": \(types)")")
        lines.add("Data", "\(ByteCount.text(weights.fileSize - weights.dataOffset)) from byte \(weights.dataOffset)")
        for remark in weights.remarks { lines.add("Note", remark) }
        var table = TextTable(.left("  KEY", maximum: 60), .left("VALUE", maximum: 60))
        for (name, value) in weights.metadata { table.add("  \(name)", String(value.prefix(200))) }
        lines.add("Metadata", table)
        if listsTensors { listTensors(in: &lines) }
    }

    private func listTensors(in lines: inout FileLines) {
        var table = TextTable(.left("  NAME"), .left("TYPE"), .left("SHAPE"), .right("SIZE"), .right("OFFSET"))
        for tensor in weights.tensors {
            let shape = tensor.shape.map(String.init).joined(separator: " × ")
            table.add(
                "  \(tensor.name)", tensor.type.rawValue, shape, ByteCount.text(Int64(tensor.range.count)),
                "\(tensor.range.lowerBound)")
        }
        lines.add("Tensors", table)
    }

    var members: [JSON.Member] {
        .init(having: [
            "parameters": .int(weights.parameterCount), "dataOffset": .int(weights.dataOffset),
            "tensorCount": .int(Int64(weights.tensors.count)),
            "tensorTypes": .object(types.map { .init($0.name, .int(Int64($0.count))) }),
            "metadata": .object(weights.metadata.map { .init($0.name, .string($0.value)) }),
            "remarks": weights.remarks.isEmpty ? nil : .strings(weights.remarks),
            "tensors": listsTensors ? .array(weights.tensors.map(Self.json)) : nil,
        ])
    }

    private static func json(_ tensor: Safetensors.Tensor) -> JSON {
        .members([
            "name": .string(tensor.name), "type": .string(tensor.type.rawValue),
            "shape": .array(tensor.shape.map { .int($0) }), "offset": .int(tensor.range.lowerBound),
            "size": .int(Int64(tensor.range.count)),
        ])
    }
}

struct CheckpointDescription: FileDescription {
    let checkpoint: Checkpoint

    var kind: String { checkpoint.form == .pickle ? "pickle" : "pytorch" }

    var words: String {
        switch checkpoint.form {
        case .zip: "PyTorch checkpoint"
        case .torchScript: "TorchScript program"
        case .legacy: "PyTorch checkpoint, in the form before 1.6"
        case .pickle: "pickle of Python"
        case .tar: "PyTorch checkpoint, in the oldest form"
        }
    }

    func describe(in lines: inout FileLines) {
        lines.add("Tensors", checkpoint.tensorSize.map(ByteCount.text))
        lines.add("Risk", "\(checkpoint.risk); \(checkpoint.advice)")
        var table = TextTable(.left("  NAME", maximum: 80), .left("KIND"))
        let (dangerous, unusual) = (Set(checkpoint.dangerousImports), Set(checkpoint.unusualImports))
        for name in checkpoint.imports {
            table.add("  \(name)", dangerous.contains(name) ? "DANGEROUS" : unusual.contains(name) ? "unusual" : "")
        }
        lines.add("Imports", table)
    }

    var members: [JSON.Member] {
        .init(having: [
            "form": .string(checkpoint.form.rawValue), "tensorSize": .optional(checkpoint.tensorSize),
            "imports": .strings(checkpoint.imports), "unusualImports": .strings(checkpoint.unusualImports),
            "dangerousImports": .strings(checkpoint.dangerousImports), "hidesImports": .bool(checkpoint.hidesImports),
        ])
    }
}
