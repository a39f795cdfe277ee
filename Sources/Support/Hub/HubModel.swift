internal import HTTP
public import KapsuleCore

/// A model of the hub at one commit: its files as sources, none of which has been fetched.
public struct HubModel: Sendable {
    public struct File: Sendable {
        public let entry: HubEntry
        public let source: any ByteSource

        public var path: BundlePath { entry.path }
    }

    /// `ORG/NAME`, as it was asked for.
    public let repository: String
    /// 40 hex digits.
    public let commit: String
    /// The model's page at that commit.
    public let url: String
    public let licenses: String?
    /// Ascending by path; only those that are wanted.
    public let files: [File]
    /// Whether the hub's list of the commit's files was there; otherwise a cache was taken for what it has.
    public fileprivate(set) var isListed = true
}

/// What earlier runs have found out about files in git, whose listing has no SHA-256.
public struct HubMemory: Sendable {
    /// SHA-256 of the content that git calls so; nil where it was never read.
    public let recall: @Sendable (_ gitName: String, _ size: Int64) -> Digest?
    public let remember: @Sendable (_ gitName: String, Artifact) -> Void

    public init(
        recall: @escaping @Sendable (_ gitName: String, _ size: Int64) -> Digest?,
        remember: @escaping @Sendable (_ gitName: String, Artifact) -> Void
    ) {
        self.recall = recall
        self.remember = remember
    }

    /// Remembers nothing.
    public static let none = HubMemory(recall: { _, _ in nil }, remember: { _, _ in })
}

extension HubClient {
    /// Pins a model to a commit and finds its files. Two requests, and one for each further thousand of files.
    ///
    /// - Parameters:
    ///   - repository: `ORG/NAME`.
    ///   - revision: a branch, a tag, a commit or `refs/pr/N`; nil for the default branch.
    ///   - chooses: which of the files are wanted.
    /// - Throws: `.unauthorized` for gated and private models before the first byte of a file; `.unavailable` for
    ///   repositories and revisions that do not exist, and offline for what the cache does not have as a whole.
    public func model(
        _ repository: String, revision: String?, memory: HubMemory, choosing chooses: ([HubEntry]) throws -> [HubEntry]
    ) throws -> HubModel {
        let cache = settings.cache.map { HubCache(directory: $0, repository: repository) }
        guard !settings.isOffline else {
            return try offlineModel(repository, revision, cache, memory, chooses)
        }
        let info = try info(repository, revision)
        let wanted = try chooses(try files(repository, at: info.commit))
        let model = model(repository, info.commit, info.licenses, wanted, cache, memory)
        // Lists of gated models are public. It is better to know now than in the middle of a push.
        if info.isGated, let file = model.files.first(where: { $0.source.place == .elsewhere }) {
            try checkAccess(to: file.entry, of: repository, at: info.commit)
        }
        return model
    }

    private func model(
        _ repository: String, _ commit: String, _ licenses: String?, _ entries: [HubEntry], _ cache: HubCache?,
        _ memory: HubMemory
    ) -> HubModel {
        let reader = HubReader(client: self, repository: repository, commit: commit, memory: memory)
        let files = entries.map { entry in
            HubModel.File(entry: entry, source: reader.source(of: entry, cached: cache?.blob(of: entry)))
        }
        return HubModel(
            repository: repository, commit: commit, url: settings.page(of: repository, at: commit), licenses: licenses,
            files: files)
    }

    private func offlineModel(
        _ repository: String, _ revision: String?, _ cache: HubCache?, _ memory: HubMemory,
        _ chooses: ([HubEntry]) throws -> [HubEntry]
    ) throws -> HubModel {
        guard let cache else {
            throw KapsuleError(
                .usage, id: "hub.no-cache",
                "HF_HUB_OFFLINE is set, and there is no cache: HF_HUB_CACHE and HOME are not set",
                remedy: "set HF_HUB_CACHE, or unset HF_HUB_OFFLINE")
        }
        let snapshot = try cache.snapshot(revision)
        let wanted = try chooses(snapshot.entries)
        let missing = wanted.filter { cache.blob(of: $0) == nil }
        guard missing.isEmpty else { throw cache.incomplete(snapshot.commit, missing) }
        let licenses = try licenses(repository, snapshot, cache, memory)
        var model = model(repository, snapshot.commit, licenses, wanted, cache, memory)
        model.isListed = snapshot.isListed
        return model
    }

    /// What the hub would say of them has to come from where it has it from.
    private func licenses(
        _ repository: String, _ snapshot: HubCache.Snapshot, _ cache: HubCache, _ memory: HubMemory
    ) throws -> String? {
        let card = snapshot.entries.filter { entry in
            if case .gitName = entry.proof {
                entry.path.text == "README.md" && cache.blob(of: entry) != nil
            } else {
                false
            }
        }
        return model(repository, snapshot.commit, nil, card, cache, memory).files.first.flatMap {
            HubLicenses.text(ofCard: $0.source)
        }
    }

    /// Asks for the head of one file.
    private func checkAccess(to entry: HubEntry, of repository: String, at commit: String) throws {
        let address = HubAddress(endpoint: settings.endpoint, repository: repository)
        let failure = HubFailure(settings: settings, repository: repository)
        try settings.retry.run { attempt in
            var request = request(address.file(entry.path, at: commit))
            request.method = .head
            request.redirects = .refuse
            let response = try transport.send(request)
            guard !response.isSuccess, !(300..<400).contains(response.status) else { return }
            attempt.heard(response)
            throw failure.error(response, "fetch \(entry.path) of \(repository)")
        }
    }
}
