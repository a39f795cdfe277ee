internal import FoundationEssentials
internal import HTTP
public import KapsuleCore

extension RegistryClient {
    /// What says of itself that it is about an image: signatures, attestations, lists of materials.
    ///
    /// Asks the referrers API; where the registry has none, reads the tag that clients keep in its place. In the order of
    /// the registry; none for an image that nothing refers to.
    ///
    /// Source: OCI distribution-spec 1.1, "Listing Referrers" and "Unavailable Referrers API".
    public func referrers(of digest: Digest) throws -> [Descriptor] {
        let purpose = purpose("list what refers to \(name)@\(digest)")
        let response = try send(HTTPRequest(.get, try url("referrers/\(digest)")), purpose, limit: 4 << 20)
        if response.status == 200, let type = response.mediaType, MediaType.isIndex(type) {
            return try index(response.body, "the referrers of \(name)@\(digest)")
        }
        // Registries that do not know the address have many ways to say so; some answer 200 with a page.
        do {
            let tagged = try manifest(.tag("sha256-\(digest.hex)"))
            guard MediaType.isIndex(tagged.mediaType) else { return [] }
            return try index(tagged.bytes, "the tag sha256-\(digest.hex) of \(name)")
        } catch let error as KapsuleError where error.id == "registry.not-found" {
            return []
        }
    }

    private func index(_ bytes: [UInt8], _ what: String) throws -> [Descriptor] {
        try ImageIndex.decode(bytes, what: what).content.manifests
    }
}
