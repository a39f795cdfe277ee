internal import Builder
internal import Git
internal import HTTP
internal import KapsuleCore
internal import ModelfileParser
internal import Store

/// `FROM git+https://HOST/REPO@COMMIT`.
struct GitSource {
    let toolbox: Toolbox

    /// - Parameter wants: which files are wanted; others are not fetched.
    func find(_ reference: GitReference, _ wants: (BundlePath) -> Bool) throws -> FoundModel {
        let repository = try GitRepository(
            reference.url, cache: "\(try toolbox.paths().cache)/git", environment: toolbox.environment)
        let commit = try repository.commit(reference.revision)
        let tree = try toolbox.progress.during("fetch \(Self.name(of: reference.url))", total: nil) { _ in
            try repository.tree(at: commit)
        }
        let files = try tree.files(wants: wants, lfs: settings(repository))
        return FoundModel(
            name: Self.name(of: reference.url), revision: commit, origin: origin(reference.url, commit),
            candidates: files.map { file in
                FoundModel.Candidate(
                    file: ModelBundle.File(
                        path: file.path, role: Role.of(file.path), isExecutable: file.isExecutable, source: file.source),
                    identity: file.identity)
            })
    }

    private func settings(_ repository: GitRepository) -> LFSSettings {
        var transport = toolbox.transportSettings
        transport.tls.caFile = repository.authorities ?? transport.tls.caFile
        return LFSSettings(transport: transport, retry: RetryPolicy(environment: toolbox.environment))
    }

    /// A path of this machine is nobody else's business.
    private func origin(_ url: String, _ commit: String) -> Origin {
        guard !url.hasPrefix("file://") else { return Origin(revision: commit) }
        return Origin(url: url, revision: commit, title: Self.name(of: url))
    }

    /// `https://host/acme/model.git` gives `model`.
    static func name(of url: String) -> String {
        let last = url.split(separator: "/").last.map(String.init) ?? "model"
        return last.hasSuffix(".git") && last.utf8.count > 4 ? String(last.dropLast(4)) : last
    }
}
