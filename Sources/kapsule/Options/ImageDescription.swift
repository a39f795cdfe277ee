internal import Encryption
internal import Exporters
internal import KapsuleCore
internal import OCI

/// An image in words, and as JSON.
struct ImageDescription {
    private let image: Image
    private let config: ImageConfig?
    /// What a registry has that refers to it; nil where nobody was asked.
    private let referrers: [Descriptor]?

    init(_ image: Image, referrers: [Descriptor]? = nil) throws {
        self.image = image
        self.referrers = referrers
        // Artifacts of other kinds have configs of other kinds.
        let type = image.manifest.content.config.mediaType
        config =
            [MediaType.config, MediaType.dockerConfig].contains(type)
            ? try ImageConfig.decode(try image.configBytes(), what: "the config of \(image.origin.name)").content : nil
    }

    private var manifest: Manifest { image.manifest.content }
    private var size: Int64 { manifest.layers.reduce(0) { $0 + $1.size } }

    var json: JSON {
        .members([
            "name": .string(image.origin.name), "digest": .string(image.root.digest.description),
            "mediaType": .string(image.root.mediaType),
            "manifest": .string(image.manifest.digest.description),
            "artifactType": manifest.artifactType.map(JSON.string),
            "platforms": .array(platforms.map { .string($0) }), "size": .int(size),
            "config": manifest.config.json,
            "layers": .array(manifest.layers.map(json)),
            "diffIDs": config.map { .array($0.diffIDs.map { .string($0.description) }) },
            "created": config?.created.map(JSON.string),
            "labels": config.map { .sorted($0.labels) }, "annotations": .sorted(manifest.annotations),
            "referrers": referrers.map { .array($0.map(\.json)) },
        ])
    }

    private var platforms: [String] {
        if MediaType.isIndex(image.root.mediaType) {
            return image.children.compactMap(\.descriptor.platform?.description)
        }
        return config.map { [$0.platform.description] } ?? []
    }

    var text: String {
        var lines = [
            "Name:      \(image.origin.name)",
            "Digest:    \(image.root.digest)",
            "Kind:      \(kind)",
            "Size:      \(ByteCount.text(size)) in \(manifest.layers.count) layers",
        ]
        if !platforms.isEmpty { lines.append("Platforms: \(platforms.joined(separator: ", "))") }
        if let created = config?.created { lines.append("Created:   \(created)") }
        lines.append("Layers:")
        var table = TextTable(.right("  #"), .right("SIZE"), .left("DIGEST"), .left("CONTENT"))
        for (index, layer) in manifest.layers.enumerated() {
            table.add("\(index + 1)", ByteCount.text(layer.size), layer.digest.short, title(of: layer))
            for name in recipients(of: layer) { table.add("", "", "", "  can be decrypted by \(name)") }
        }
        lines += table.rendered().split(separator: "\n").map(String.init)
        lines += section("Annotations", manifest.annotations)
        if let referrers, !referrers.isEmpty {
            lines.append("Referrers:")
            lines += referrers.map { "  \($0.digest) \(Printable.text($0.artifactType ?? $0.mediaType))" }
        }
        return lines.joined(separator: "\n")
    }

    /// Who can decrypt it; nobody for a layer in plaintext.
    private func recipients(of layer: Descriptor) -> [String] {
        guard MediaType.isEncrypted(layer.mediaType) else { return [] }
        return (try? LayerRecipients(layer.annotations, what: "the layer"))?.names ?? [
            "nobody: its annotations are damaged"
        ]
    }

    private func json(of layer: Descriptor) -> JSON {
        let names = recipients(of: layer)
        return names.isEmpty ? layer.json : layer.json.setting("recipients", .array(names.map { .string($0) }))
    }

    private var kind: String {
        let base = MediaType.isIndex(image.root.mediaType) ? indexKind : ModelArtifact(manifest).title
        return manifest.layers.contains { MediaType.isEncrypted($0.mediaType) } ? "encrypted \(base)" : base
    }

    private var indexKind: String {
        let kinds = image.children.map { ModelArtifact($0.manifest.content) }
        func has(_ wanted: ModelArtifact) -> Bool { kinds.contains { $0 == wanted } }
        return has(.image) && has(.modelPack)
            ? "universal, an image and a ModelPack" : "index of images"
    }

    private func title(of layer: Descriptor) -> String {
        let name =
            layer.annotations[ImageFormat.Annotation.path]
            ?? layer.annotations["org.opencontainers.image.title"]
            ?? layer.annotations[ImageFormat.Annotation.files].map { _ in "small files" }
        let suffix = layer.mediaType == MediaType.tar ? "" : "(\(layer.mediaType.split(separator: ".").last ?? ""))"
        return [name, suffix.isEmpty ? nil : suffix].compactMap(\.self).joined(separator: " ")
    }

    private func section(_ title: String, _ values: [String: String]) -> [String] {
        guard !values.isEmpty else { return [] }
        return ["\(title):"] + values.keys.sorted().map { "  \($0): \(values[$0] ?? "")" }
    }
}
