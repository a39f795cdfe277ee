internal import HTTP
internal import KapsuleCore

extension HubClient {
    /// What the hub says of a model at a revision.
    struct Info {
        /// 40 hex digits. What it names never changes.
        let commit: String
        let isGated: Bool
        /// As an image names licences; nil where the card has none.
        let licenses: String?
    }

    /// - Parameter revision: a branch, a tag, a commit or `refs/pr/N`; nil for the default branch.
    func info(_ repository: String, _ revision: String?) throws -> Info {
        let address = HubAddress(endpoint: settings.endpoint, repository: repository)
        let named = revision.map { "\(repository)@\($0)" } ?? repository
        let response: HTTPResponse
        do {
            response = try document(
                address.api(revision.map { ["revision", $0] } ?? []), for: repository, "look up \(named)")
        } catch let error as KapsuleError where error.id == "hub.revision-not-found" {
            throw noRevision(repository, revision ?? "", address)
        }
        let info = try HubDocument.decode(HubDocument.Info.self, response.body, what: "what the hub says of \(named)")
        guard let commit = info.sha, GitName.isValid(commit) else {
            throw noRevision(repository, revision ?? "", address)
        }
        if info.disabled == true {
            throw KapsuleError(
                .unauthorized, id: "hub.disabled", "\(repository) is disabled at the hub",
                remedy: "see \(address.page) for why")
        }
        let licenses = HubLicenses.text(info.cardData?.license?.names ?? [], named: info.cardData?.licenseName)
        return Info(commit: commit, isGated: info.gated?.isClosed ?? false, licenses: licenses)
    }

    private func noRevision(_ repository: String, _ revision: String, _ address: HubAddress) -> KapsuleError {
        var remedy = "leave it out for the default branch"
        // Only to help: whatever goes wrong here is not what went wrong.
        if let response = try? document(address.api(["refs"]), for: repository, "list the branches of \(repository)"),
            let refs = try? HubDocument.decode(HubDocument.Refs.self, response.body, what: "refs")
        {
            let names = ((refs.branches ?? []) + (refs.tags ?? [])).map { Excerpt.of($0.name, limit: 60) }
            if let nearest = Suggestion.nearest(to: revision, among: names) {
                remedy = "did you mean \(nearest)?"
            } else if !names.isEmpty {
                remedy = "it has \(names.prefix(8).joined(separator: ", "))" + (names.count > 8 ? " and more" : "")
            }
        }
        return KapsuleError(
            .unavailable, id: "hub.revision-not-found",
            "\(repository) has no revision \(Quoted.text(revision, limit: 80))", remedy: remedy)
    }

    /// All files of a commit, ascending by path.
    ///
    /// - Throws: `.unverified` for a listing that no proper hub gives: paths that climb out, other origins, loops.
    func files(_ repository: String, at commit: String) throws -> [HubEntry] {
        let address = HubAddress(endpoint: settings.endpoint, repository: repository)
        var rows: [HubEntry] = []
        var seen: Set<WebAddress> = []
        var next: WebAddress? = address.api(["tree", commit], query: "?recursive=true&expand=false")
        while let page = next {
            guard seen.insert(page).inserted else { throw badLink(repository, "comes back to a page it had before") }
            let response = try document(page, for: repository, "list the files of \(repository)")
            let wire = try HubDocument.decode(
                [HubDocument.Row].self, response.body, what: "the list of files of \(repository)")
            rows += try wire.compactMap { try HubEntry($0, in: repository) }
            guard rows.count <= HubEntry.mostFiles, seen.count <= HubEntry.mostFiles / 50 else {
                throw KapsuleError(
                    .usage, id: "hub.too-many-files", "\(repository) has more than \(HubEntry.mostFiles) files",
                    remedy: "fetch it into a directory, and write FROM ./DIRECTORY")
            }
            guard let link = LinkHeader.next(in: response.headers) else { break }
            guard let following = address.page(link, after: page) else {
                throw badLink(repository, "continues at another server")
            }
            next = following
        }
        return try HubEntry.ordered(rows, of: repository)
    }

    private func badLink(_ repository: String, _ how: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "hub.link", "the list of files of \(repository) \(how)",
            remedy: "check HF_ENDPOINT; if it is a mirror, this is for its operator to mend")
    }
}
