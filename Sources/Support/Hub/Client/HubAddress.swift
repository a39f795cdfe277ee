internal import HTTP
internal import KapsuleCore

/// Addresses of one repository.
struct HubAddress: Sendable {
    let endpoint: WebAddress
    /// `ORG/NAME`, of letters, digits, `-`, `_` and `.`.
    let repository: String

    /// `…/api/models/ORG/NAME` and further parts, each one percent-encoded as a whole.
    func api(_ parts: [String], query: String = "") -> WebAddress {
        address(["/api/models", repository] + parts.map(PercentEncoding.component), query)
    }

    /// `…/ORG/NAME/resolve/COMMIT/PATH`, each part of the path percent-encoded.
    func file(_ path: BundlePath, at commit: String) -> WebAddress {
        let parts = path.text.split(separator: "/").map { PercentEncoding.component(String($0)) }
        return address(["", repository, "resolve", PercentEncoding.component(commit)] + parts, "")
    }

    private func address(_ parts: [String], _ query: String) -> WebAddress {
        let prefix = endpoint.path == "/" ? "" : endpoint.path
        return endpoint.replacingTarget(prefix + parts.joined(separator: "/") + query)
    }

    /// Where a `Link` leads. Mirrors may leave the hub's own name in it.
    ///
    /// - Returns: nil for another host, port or scheme, which does not get the token nor a say in what the files are.
    func page(_ link: String, after page: WebAddress) -> WebAddress? {
        let home = "https://huggingface.co/"
        let base = endpoint.text.hasSuffix("/") ? String(endpoint.text.dropLast()) : endpoint.text
        let text = link.hasPrefix(home) ? base + "/" + link.dropFirst(home.count) : link
        guard let next = page.resolving(text), next.hasSameOrigin(as: endpoint) else { return nil }
        return next
    }
}
