internal import HTTP
internal import KapsuleCore

/// What the files of one model at one commit have in common.
final class HubReader: Sendable {
    let client: HubClient
    let repository: String
    let commit: String
    let memory: HubMemory
    private let address: HubAddress
    private let failure: HubFailure

    init(client: HubClient, repository: String, commit: String, cache: HubCache?, memory: HubMemory) {
        self.client = client
        self.repository = repository
        self.commit = commit
        self.memory = memory
        address = HubAddress(endpoint: client.settings.endpoint, repository: repository)
        failure = HubFailure(settings: client.settings, repository: repository)
    }

    func source(of entry: HubEntry, cached: CachedBlob?) -> any ByteSource {
        switch entry.proof {
        case .content(let digest):
            LargeFile(entry, digest: digest, reader: self, cached: cached)
        case .gitName(let name):
            GitFile(entry, gitName: name, reader: self, cached: cached)
        }
    }

    func name(of entry: HubEntry) -> String { "\(entry.path) of \(repository)" }

    func url(of entry: HubEntry) -> WebAddress { address.file(entry.path, at: commit) }

    /// - Throws: `.unverified` where an answer of the hub is for another commit than was asked for.
    func checkCommit(_ response: HTTPResponse, _ entry: HubEntry) throws {
        guard let said = response.headers["X-Repo-Commit"], said != commit else { return }
        throw KapsuleError(
            .unverified, id: "hub.commit",
            "\(response.url.authority) answers with \(entry.path) of commit \(Quoted.text(said, limit: 50)), and was asked for "
                + commit,
            remedy: "check HF_ENDPOINT; if it is a mirror, this is for its operator to mend")
    }

    /// What an answer means that has no bytes of a file.
    func refusal(_ response: HTTPResponse, _ entry: HubEntry) -> KapsuleError {
        let doing = "fetch \(name(of: entry))"
        // Storage answers 403 where a signed address has expired, and other things where it was never good. The next
        // attempt asks the hub for a new one.
        let isStorage = !response.url.hasSameOrigin(as: client.settings.endpoint)
        return isStorage ? failure.unavailable(response, doing) : failure.error(response, doing)
    }
}
