public import KapsuleCore

/// Names a blob by content, says how long it is and how to read it.
///
/// Source: OCI image-spec v1.1, descriptor.md.
public struct Descriptor: Sendable, Hashable {
    public var mediaType: String
    public var digest: Digest
    /// In bytes.
    public var size: Int64
    public var annotations: [String: String]
    public var artifactType: String?
    public var platform: Platform?

    public init(
        mediaType: String, digest: Digest, size: Int64, annotations: [String: String] = [:],
        artifactType: String? = nil, platform: Platform? = nil
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.annotations = annotations
        self.artifactType = artifactType
        self.platform = platform
    }

    public var artifact: Artifact { Artifact(digest: digest, size: size) }

    /// Members in the order of the specification's examples; none that is empty.
    public var json: JSON {
        .members([
            "mediaType": .string(mediaType), "artifactType": artifactType.map(JSON.string),
            "digest": .string(digest.description), "size": .int(size),
            "annotations": annotations.isEmpty ? nil : .sorted(annotations), "platform": platform?.json,
        ])
    }
}

/// What a manifest of an index runs on.
public struct Platform: Sendable, Hashable, CustomStringConvertible {
    public var os: String
    public var architecture: String
    public var variant: String?

    public init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    /// Reads `linux/amd64` or `linux/arm/v7`; nil when it is neither.
    public init?(parsing text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(os: parts[0], architecture: parts[1], variant: parts.count == 3 ? parts[2] : nil)
    }

    public var description: String { [os, architecture, variant].compactMap(\.self).joined(separator: "/") }

    public var json: JSON {
        .members([
            "architecture": .string(architecture), "os": .string(os), "variant": variant.map(JSON.string),
        ])
    }
}

/// Media types that kapsule writes or understands.
public enum MediaType {
    public static let manifest = "application/vnd.oci.image.manifest.v1+json"
    public static let index = "application/vnd.oci.image.index.v1+json"
    public static let config = "application/vnd.oci.image.config.v1+json"
    public static let tar = "application/vnd.oci.image.layer.v1.tar"
    public static let tarGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
    public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    public static let dockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
    public static let dockerConfig = "application/vnd.docker.container.image.v1+json"
    public static let dockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"

    /// What a request for a manifest accepts.
    public static let anyManifest = [manifest, index, dockerManifest, dockerList]

    public static func isIndex(_ type: String) -> Bool { type == index || type == dockerList }
    public static func isManifest(_ type: String) -> Bool { type == manifest || type == dockerManifest }
    public static func isEncrypted(_ type: String) -> Bool { type.hasSuffix("+encrypted") || type.hasSuffix("+enc") }
}
