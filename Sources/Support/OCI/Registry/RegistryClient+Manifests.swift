internal import FoundationEssentials
internal import HTTP
public import KapsuleCore
internal import KapsuleCrypto

/// By what a manifest is asked for.
public enum ManifestName: Sendable, Hashable, CustomStringConvertible {
    case tag(String)
    case digest(Digest)

    public var description: String {
        switch self {
        case .tag(let tag): tag
        case .digest(let digest): digest.description
        }
    }
}

extension Reference {
    /// A digest beats a tag; without either it is `latest`.
    public var manifestName: ManifestName { digest.map(ManifestName.digest) ?? .tag(tag ?? "latest") }
}

/// A manifest or an index, of OCI's or Docker's kind, as it came. The digest was checked.
public struct RawManifest: Sendable {
    public let bytes: [UInt8]
    public let mediaType: String
    public let digest: Digest

    /// - Parameter digest: of `bytes`; the caller has compared them.
    public init(bytes: [UInt8], mediaType: String, digest: Digest) {
        self.bytes = bytes
        self.mediaType = mediaType
        self.digest = digest
    }

    public var descriptor: Descriptor { Descriptor(mediaType: mediaType, digest: digest, size: Int64(bytes.count)) }
}

extension RegistryClient {
    /// Fetches a manifest or index.
    ///
    /// - Throws: `.unavailable` with id `registry.not-found` when there is none; `.unverified` when it is longer than
    ///   `DocumentLimit.manifest`, does not have the digest asked for or promised, or is labelled as something else.
    public func manifest(_ name: ManifestName) throws -> RawManifest {
        let purpose = purpose("read \(title(name))")
        let response = try send(request(.get, name), purpose, limit: Int(DocumentLimit.manifest))
        guard response.status == 200 else { throw server.refusal(response, of: purpose) }
        let digest = Digest.of(response.body)
        if case .digest(let wanted) = name, wanted != digest {
            throw KapsuleError(
                .unverified, id: "content.mismatch",
                "the manifest \(title(name)) is not what was asked for: got \(digest), \(response.body.count) bytes",
                remedy: "try again; if it happens again, the registry is damaged")
        }
        try check(response, names: digest, "the manifest \(title(name))")
        return RawManifest(bytes: response.body, mediaType: try mediaType(of: response, name), digest: digest)
    }

    /// What the registry has under that name; nil for nothing. Does not count against Docker Hub's limit.
    public func headManifest(_ name: ManifestName) throws -> Descriptor? {
        let purpose = purpose("look up \(title(name))")
        let response = try send(request(.head, name), purpose)
        switch response.status {
        case 200: break
        case 404: return nil
        default: throw server.refusal(response, of: purpose)
        }
        guard let digest = response.headers["Docker-Content-Digest"].flatMap({ Digest(parsing: $0) }),
            let size = response.contentLength, let mediaType = response.mediaType
        else {
            // Digest, size or type are optional in the answer: then only the document itself tells.
            return try manifest(name).descriptor
        }
        if case .digest(let wanted) = name { try check(response, names: wanted, "the manifest \(title(name))") }
        return Descriptor(mediaType: mediaType, digest: digest, size: size)
    }

    /// Stores a manifest or index under a tag, or under its own digest only.
    ///
    /// - Returns: the digest of `bytes`, which the registry confirmed.
    /// - Throws: `.unavailable` with id `registry.blob-unknown` when a blob it names is missing there.
    @discardableResult
    public func putManifest(_ bytes: [UInt8], mediaType: String, as name: ManifestName) throws -> Digest {
        let digest = Digest.of(bytes)
        if case .digest(let wanted) = name {
            precondition(wanted == digest, "a manifest is pushed under its own digest")
        }
        let purpose = purpose("store \(title(name))")
        var request = try request(.put, name)
        request.headers = ["Content-Type": mediaType]
        request.body = .bytes(bytes)
        let response = try send(request, purpose)
        guard response.isSuccess else { throw manifestRefusal(response, purpose, name) }
        try check(response, names: digest, "the manifest \(title(name))")
        return digest
    }

    private func title(_ name: ManifestName) -> String {
        switch name {
        case .tag(let tag): "\(self.name):\(tag)"
        case .digest(let digest): "\(self.name)@\(digest)"
        }
    }

    private func request(_ method: HTTPMethod, _ name: ManifestName) throws -> HTTPRequest {
        // Without all of them, docker-registry answers 404 for a manifest that it has.
        let headers: HTTPHeaders = ["Accept": MediaType.anyManifest.joined(separator: ", ")]
        return HTTPRequest(method, try url("manifests/\(name)"), headers: headers)
    }

    /// What the document says it is, and the registry too.
    private func mediaType(of response: HTTPResponse, _ name: ManifestName) throws -> String {
        struct Wire: Decodable { let mediaType: String? }
        let said = (try? JSONDecoder().decode(Wire.self, from: Data(response.body)))?.mediaType
        // Ollama's registry sends its manifests as text/plain, which says nothing against what the document says.
        let labelled = response.mediaType.flatMap { $0 == "text/plain" && said != nil ? nil : $0 }
        if let said, let labelled, said.lowercased() != labelled {
            throw KapsuleError(
                .unverified, id: "registry.media-type",
                "the manifest \(title(name)) calls itself \(Excerpt.of(said, limit: 100)), but \(host) sends it as "
                    + Excerpt.of(labelled, limit: 100),
                remedy: "push it again; a document that can be read in two ways is not to be trusted")
        }
        return said ?? labelled ?? MediaType.manifest
    }

    /// Whether a registry refuses because its tags never change: Harbor answers 412, ECR 400 with `TAG_INVALID`.
    private static func isFixedTag(_ response: HTTPResponse, _ codes: [String]) -> Bool {
        response.status == 409 || response.status == 412
            || codes.contains("TAG_INVALID") && response.excerpt(limit: 2000).contains("immutable")
    }

    private func manifestRefusal(
        _ response: HTTPResponse, _ purpose: RegistryHost.Purpose, _ name: ManifestName
    ) -> KapsuleError {
        let codes = RegistryFailure.codes(response)
        if case .tag = name, Self.isFixedTag(response, codes) {
            return KapsuleError(
                .conflict, id: "registry.tag-fixed",
                "\(host) cannot \(purpose.doing): \(RegistryFailure.reason(response))",
                remedy: "use another tag: this registry lets nobody move one that is there")
        }
        if codes.contains("MANIFEST_BLOB_UNKNOWN") || codes.contains("BLOB_UNKNOWN") {
            return KapsuleError(
                .unavailable, id: "registry.blob-unknown",
                "\(host) cannot \(purpose.doing): a blob it names is missing there (\(response.status))",
                remedy: "run the command again, which uploads what is missing")
        }
        if codes.contains("DIGEST_INVALID") {
            return KapsuleError(
                .unverified, id: "registry.digest",
                "\(host) cannot \(purpose.doing): \(RegistryFailure.reason(response))",
                remedy: "try again; if it happens again, something between here and the registry changes it")
        }
        return server.refusal(response, of: purpose)
    }
}
