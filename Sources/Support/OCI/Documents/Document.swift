internal import FoundationEssentials
public import KapsuleCore
internal import KapsuleCrypto

/// A JSON document and the very bytes it came as. The bytes are what is hashed, stored and sent.
public struct Document<Content: Sendable>: Sendable {
    public let content: Content
    public let bytes: [UInt8]
    public let digest: Digest

    init(content: Content, bytes: [UInt8]) {
        self.content = content
        self.bytes = bytes
        self.digest = Digest.of(bytes)
    }

    public var size: Int64 { Int64(bytes.count) }
    public var artifact: Artifact { Artifact(digest: digest, size: size) }
}

extension Document: Equatable {
    public static func == (a: Document, b: Document) -> Bool { a.bytes == b.bytes }
}

/// Limits on what others send.
public enum DocumentLimit {
    /// Longest manifest or index that is read, in bytes. Registries refuse more than 4 MiB.
    public static let manifest: Int64 = 8 << 20
    /// Longest config that is read, in bytes.
    public static let config: Int64 = 16 << 20
}

/// Decodes JSON into a wire type; what is wrong becomes `.unverified` with the place in the document.
func decode<Wire: Decodable>(_ type: Wire.Type, from bytes: [UInt8], what: String) throws -> Wire {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
        throw KapsuleError(
            .unverified, id: "document.malformed", "\(what) is not what it should be: \(describe(error))",
            remedy: "it may be cut short or not an image at all; push it again, or check the reference")
    }
}

private func describe(_ error: DecodingError) -> String {
    func place(_ path: [any CodingKey]) -> String {
        path.isEmpty
            ? "the document" : path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context.codingPath)) has no member '\(key.stringValue)'"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
        return "\(place(context.codingPath)): \(context.debugDescription)"
    case .dataCorrupted(let context):
        return context.codingPath.isEmpty
            ? "not valid JSON" : "\(place(context.codingPath)): \(context.debugDescription)"
    @unknown default: return "not readable"
    }
}

/// A descriptor as JSON has it.
struct DescriptorWire: Decodable {
    let mediaType: String?
    let digest: String
    let size: Int64
    let annotations: [String: String]?
    let artifactType: String?
    let platform: PlatformWire?

    func descriptor(of what: String) throws -> Descriptor {
        guard let digest = Digest(parsing: digest) else {
            throw KapsuleError(
                .unverified, id: "document.digest",
                "\(what) names a blob by '\(digest.prefix(100))', which is not a SHA-256 digest",
                remedy: "only sha256 digests of 64 lower-case hex digits are supported")
        }
        guard size >= 0 else {
            throw KapsuleError(.unverified, id: "document.size", "\(what) gives \(digest) the size \(size)")
        }
        return Descriptor(
            mediaType: mediaType ?? "application/octet-stream", digest: digest, size: size,
            annotations: annotations ?? [:], artifactType: artifactType, platform: platform?.platform)
    }
}

struct PlatformWire: Decodable {
    let os: String?
    let architecture: String?
    let variant: String?

    var platform: Platform { Platform(os: os ?? "", architecture: architecture ?? "", variant: variant) }
}
