public import KapsuleCore

/// What an image is made of and how it would run.
///
/// Source: OCI image-spec v1.1, config.md.
public struct ImageConfig: Sendable, Hashable {
    public struct History: Sendable, Hashable {
        /// RFC 3339. umoci 0.4.7 crashes on an entry without one.
        public var created: String
        public var createdBy: String
        public var isEmptyLayer: Bool

        public init(created: String, createdBy: String, isEmptyLayer: Bool = false) {
            self.created = created
            self.createdBy = createdBy
            self.isEmptyLayer = isEmptyLayer
        }
    }

    public var platform: Platform
    public var created: String?
    public var labels: [String: String] = [:]
    /// Digests of the uncompressed layers, bottom first.
    public var diffIDs: [Digest]
    public var history: [History] = []

    public init(platform: Platform, diffIDs: [Digest]) {
        self.platform = platform
        self.diffIDs = diffIDs
    }

    public var json: JSON {
        .members([
            "architecture": .string(platform.architecture), "os": .string(platform.os),
            "variant": platform.variant.map(JSON.string), "created": created.map(JSON.string),
            "config": .members(["Labels": labels.isEmpty ? nil : .sorted(labels)]),
            "rootfs": .members([
                "type": "layers", "diff_ids": .array(diffIDs.map { .string($0.description) }),
            ]),
            "history": history.isEmpty ? nil : .array(history.map(\.json)),
        ])
    }

    /// Compact JSON; equal configs give equal bytes.
    public func encoded() -> Document<ImageConfig> { Document(content: self, bytes: Array(json.compact.utf8)) }

    /// Reads what kapsule needs; members it does not know stay in the document's bytes only.
    ///
    /// - Throws: `.unverified` for anything that is not a config.
    public static func decode(_ bytes: [UInt8], what: String) throws -> Document<ImageConfig> {
        let wire = try OCI.decode(Wire.self, from: bytes, what: what)
        var config = ImageConfig(
            platform: Platform(os: wire.os ?? "", architecture: wire.architecture ?? "", variant: wire.variant),
            diffIDs: try (wire.rootfs?.diffIDs ?? []).map { text in
                guard let digest = Digest(parsing: text) else {
                    throw KapsuleError(
                        .unverified, id: "document.digest", "\(what) has the diff ID '\(text.prefix(100))'")
                }
                return digest
            })
        config.created = wire.created
        config.labels = wire.config?.labels ?? [:]
        config.history = (wire.history ?? []).map {
            History(created: $0.created ?? "", createdBy: $0.createdBy ?? "", isEmptyLayer: $0.isEmptyLayer ?? false)
        }
        return Document(content: config, bytes: bytes)
    }

    private struct Wire: Decodable {
        struct Settings: Decodable {
            let labels: [String: String]?
            enum CodingKeys: String, CodingKey { case labels = "Labels" }
        }
        struct Root: Decodable {
            let diffIDs: [String]?
            enum CodingKeys: String, CodingKey { case diffIDs = "diff_ids" }
        }
        struct Entry: Decodable {
            let created: String?
            let createdBy: String?
            let isEmptyLayer: Bool?
            enum CodingKeys: String, CodingKey {
                case created
                case createdBy = "created_by"
                case isEmptyLayer = "empty_layer"
            }
        }
        let architecture: String?
        let os: String?
        let variant: String?
        let created: String?
        let config: Settings?
        let rootfs: Root?
        let history: [Entry]?
    }
}

extension ImageConfig.History {
    var json: JSON {
        .members([
            "created": .string(created), "created_by": .string(createdBy), "empty_layer": isEmptyLayer ? true : nil,
        ])
    }
}
