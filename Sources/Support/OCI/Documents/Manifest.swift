public import KapsuleCore

/// An image: one config and its layers, bottom first.
///
/// Source: OCI image-spec v1.1, manifest.md; Docker's schema 2 has the same members.
public struct Manifest: Sendable, Hashable {
    public var mediaType = MediaType.manifest
    public var artifactType: String?
    public var config: Descriptor
    public var layers: [Descriptor]
    public var subject: Descriptor?
    public var annotations: [String: String] = [:]

    public init(config: Descriptor, layers: [Descriptor], annotations: [String: String] = [:]) {
        self.config = config
        self.layers = layers
        self.annotations = annotations
    }

    /// Every blob a copy of the image needs, each once: the config, then the layers.
    public var blobs: [Descriptor] {
        var seen: Set<Digest> = []
        return ([config] + layers).filter { seen.insert($0.digest).inserted }
    }

    public var json: JSON {
        .members([
            "schemaVersion": 2, "mediaType": .string(mediaType), "artifactType": artifactType.map(JSON.string),
            "config": config.json, "layers": .array(layers.map(\.json)), "subject": subject?.json,
            "annotations": annotations.isEmpty ? nil : .sorted(annotations),
        ])
    }

    /// Compact JSON; equal manifests give equal bytes.
    public func encoded() -> Document<Manifest> { Document(content: self, bytes: Array(json.compact.utf8)) }

    /// - Parameter what: names it in errors: `the manifest of ghcr.io/acme/m:7b`.
    /// - Throws: `.unverified` for anything that is not a manifest.
    public static func decode(_ bytes: [UInt8], what: String) throws -> Document<Manifest> {
        let wire = try OCI.decode(Wire.self, from: bytes, what: what)
        guard wire.schemaVersion == 2 else {
            throw KapsuleError(
                .unverified, id: "document.schema", "\(what) has schema version \(wire.schemaVersion), not 2",
                remedy: "push the image again with a tool newer than 2017")
        }
        var manifest = Manifest(
            config: try wire.config.descriptor(of: what), layers: try wire.layers.map { try $0.descriptor(of: what) },
            annotations: wire.annotations ?? [:])
        manifest.mediaType = wire.mediaType ?? MediaType.manifest
        manifest.artifactType = wire.artifactType
        manifest.subject = try wire.subject?.descriptor(of: what)
        return Document(content: manifest, bytes: bytes)
    }

    private struct Wire: Decodable {
        let schemaVersion: Int
        let mediaType: String?
        let artifactType: String?
        let config: DescriptorWire
        let layers: [DescriptorWire]
        let subject: DescriptorWire?
        let annotations: [String: String]?
    }
}

/// Several manifests under one name, such as one a platform; also the `index.json` of a layout.
///
/// Source: OCI image-spec v1.1, image-index.md.
public struct ImageIndex: Sendable, Hashable {
    public var mediaType = MediaType.index
    public var manifests: [Descriptor]
    public var annotations: [String: String] = [:]

    public init(manifests: [Descriptor], annotations: [String: String] = [:]) {
        self.manifests = manifests
        self.annotations = annotations
    }

    public var json: JSON {
        .members([
            "schemaVersion": 2, "mediaType": .string(mediaType), "manifests": .array(manifests.map(\.json)),
            "annotations": annotations.isEmpty ? nil : .sorted(annotations),
        ])
    }

    /// Compact JSON; equal indexes give equal bytes.
    public func encoded() -> Document<ImageIndex> { Document(content: self, bytes: Array(json.compact.utf8)) }

    /// - Throws: `.unverified` for anything that is not an index.
    public static func decode(_ bytes: [UInt8], what: String) throws -> Document<ImageIndex> {
        let wire = try OCI.decode(Wire.self, from: bytes, what: what)
        var index = ImageIndex(
            manifests: try wire.manifests.map { try $0.descriptor(of: what) }, annotations: wire.annotations ?? [:])
        index.mediaType = wire.mediaType ?? MediaType.index
        return Document(content: index, bytes: bytes)
    }

    private struct Wire: Decodable {
        let mediaType: String?
        let manifests: [DescriptorWire]
        let annotations: [String: String]?
    }
}
