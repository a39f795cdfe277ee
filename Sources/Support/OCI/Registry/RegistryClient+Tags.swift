internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore

extension RegistryClient {
    /// Most pages that are followed, so that a server cannot keep us for ever.
    private static let pageLimit = 10_000

    /// All tags, ascending by their bytes; none for a repository that is not there.
    public func tags() throws -> [String] {
        struct Wire: Decodable { let tags: [String]? }
        let purpose = purpose("list the tags of \(name)")
        var page = try url("tags/list")
        var tags: Set<String> = []
        for _ in 0..<Self.pageLimit {
            let response = try send(HTTPRequest(.get, page), purpose, limit: 64 << 20)
            if response.status == 404 { return [] }
            guard response.status == 200 else { throw server.refusal(response, of: purpose) }
            tags.formUnion(try decode(Wire.self, from: response.body, what: "the tag list of \(name)").tags ?? [])
            // A short page does not mean the last one; only the absence of a link does.
            guard let link = LinkHeader.next(in: response.headers), let next = page.resolving(link),
                next.hasSameOrigin(as: page), next != page
            else { break }
            page = next
        }
        return tags.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
