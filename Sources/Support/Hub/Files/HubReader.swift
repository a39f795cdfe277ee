internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// What the files of one model at one commit have in common.
final class HubReader: Sendable {
    let client: HubClient
    let repository: String
    let commit: String
    let memory: HubMemory
    private let address: HubAddress
    private let failure: HubFailure
    /// Contents of small files that were looked at, for when they are read.
    private let looked = SmallContents()
    /// By the files' places in `order`; made when the first of them is read.
    private let ahead = Mutex<ReadAhead?>(nil)
    private let files = Mutex<(order: [GitFile], places: [BundlePath: Int])>(([], [:]))

    init(client: HubClient, repository: String, commit: String, memory: HubMemory) {
        self.client = client
        self.repository = repository
        self.commit = commit
        self.memory = memory
        address = HubAddress(endpoint: client.settings.endpoint, repository: repository)
        failure = HubFailure(settings: client.settings, repository: repository)
    }

    /// Files are given in the order in which they will be read.
    func source(of entry: HubEntry, cached: CachedBlob?) -> any ByteSource {
        switch entry.proof {
        case .content(let digest): return LargeFile(entry, digest: digest, reader: self, cached: cached)
        case .gitName(let name):
            let file = GitFile(entry, gitName: name, reader: self, cached: cached)
            files.withLock { files in
                files.places[entry.path] = files.order.count
                files.order.append(file)
            }
            return file
        }
    }

    /// All of a small file, checked.
    func content(of file: GitFile, _ entry: HubEntry) throws -> [UInt8] {
        if let bytes = looked[entry.path] { return bytes }
        let (order, place) = files.withLock { ($0.order, $0.places[entry.path]) }
        let ahead = ahead.withLock { ahead in
            let made = ahead ?? ReadAhead(sizes: order.map(\.size)) { try order[$0].content() }
            ahead = made
            return made
        }
        let bytes = try place.map { try ahead.content($0) } ?? file.content()
        looked[entry.path] = bytes
        return bytes
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

/// The last few contents of small files, in a bounded amount of memory.
final class SmallContents: Sendable {
    /// In bytes, in all and of one.
    private static let room = 4 << 20
    private static let longest = 1 << 20

    private struct State {
        var contents: [BundlePath: [UInt8]] = [:]
        /// Oldest first.
        var order: [BundlePath] = []
        var size = 0
    }

    private let state = Mutex(State())

    subscript(path: BundlePath) -> [UInt8]? {
        get { state.withLock { $0.contents[path] } }
        set {
            guard let newValue, newValue.count <= Self.longest else { return }
            state.withLock { state in
                guard state.contents[path] == nil else { return }
                state.contents[path] = newValue
                state.order.append(path)
                state.size += newValue.count
                while state.size > Self.room {
                    state.size -= state.contents.removeValue(forKey: state.order.removeFirst())?.count ?? 0
                }
            }
        }
    }
}
