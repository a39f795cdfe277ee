internal import KapsuleCore
internal import OCI
internal import Ollama

/// A model of Ollama's in words, and as JSON.
struct OllamaDescription {
    private let image: Image
    private let model: OllamaModel

    init(_ image: Image) throws {
        self.image = image
        model = try OllamaModel(reading: image)
    }

    private var layers: [Descriptor] { image.manifest.content.layers }
    private var size: Int64 { layers.reduce(0) { $0 + $1.size } }

    var text: String {
        let config = model.config
        var lines = [
            "Name:         \(image.origin.name)",
            "Digest:       \(image.root.digest)",
            "Kind:         Ollama model",
            "Size:         \(ByteCount.text(size)) in \(layers.count) layers",
            "Family:       \(config.modelFamily)",
            "Parameters:   \(config.modelType)",
            "Quantisation: \(config.fileType)",
        ]
        let optional = [
            ("Renderer:     ", config.renderer), ("Parser:       ", config.parser), ("Requires:     ", config.requires),
        ]
        lines += optional.compactMap { title, value in value.map { "\(title)\(Printable.text($0))" } }
        lines.append("Layers:")
        var table = TextTable(.right("  #"), .right("SIZE"), .left("DIGEST"), .left("CONTENT"))
        for (index, layer) in layers.enumerated() {
            let title = Printable.text(OllamaMediaType.title(layer.mediaType))
            table.add("\(index + 1)", ByteCount.text(layer.size), layer.digest.short, title)
        }
        lines += table.rendered().split(separator: "\n").map(String.init)
        if !model.card.parameters.isEmpty { lines.append("PARAMETER:") }
        lines += model.card.parameters.map { "  \($0.name) \(Printable.text($0.value))" }
        return lines.joined(separator: "\n")
    }

    var json: JSON {
        let config = model.config
        return .members([
            "name": .string(image.origin.name), "digest": .string(image.root.digest.description),
            "mediaType": .string(image.root.mediaType), "size": .int(size),
            "family": .string(config.modelFamily), "parameterSize": .string(config.modelType),
            "quantisation": .string(config.fileType), "renderer": config.renderer.map(JSON.string),
            "parser": config.parser.map(JSON.string), "requires": config.requires.map(JSON.string),
            "config": image.manifest.content.config.json, "layers": .array(layers.map(\.json)),
            "parameters": .array(
                model.card.parameters.map { .members(["name": .string($0.name), "value": .string($0.value)]) }),
        ])
    }
}
