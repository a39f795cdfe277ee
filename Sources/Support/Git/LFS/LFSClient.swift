internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore
internal import Synchronization

/// A server of Git LFS: where objects are, and a login where it wants one.
///
/// Source: git-lfs, docs/api/batch.md and docs/api/authentication.md.
final class LFSClient: Sendable {
    /// Objects that one request asks for.
    private static let batch = 100
    private static let mediaType = "application/vnd.git-lfs+json"

    let endpoint: WebAddress
    let transport: HTTPTransport
    let retry: RetryPolicy
    /// The repository, for messages.
    let name: String
    private let credentials: GitCredentials
    /// `Authorization` that the server has accepted or will be tried with.
    private let login = Mutex<String?>(nil)

    init(_ endpoint: WebAddress, git: GitProgram, settings: LFSSettings, name: String) {
        self.endpoint = endpoint
        self.name = name
        retry = settings.retry
        transport = HTTPTransport(settings.transport)
        credentials = GitCredentials(git)
    }

    /// Where the content of all pointers is.
    ///
    /// - Throws: `.unavailable` with the first that is not there.
    func locate(_ pointers: [(path: BundlePath, pointer: LFSPointer)]) throws -> [LFSPointer: LFSAction] {
        var paths: [LFSPointer: BundlePath] = [:]
        for (path, pointer) in pointers where pointer.size > 0 && paths[pointer] == nil { paths[pointer] = path }
        let wanted = paths.sorted { $0.value < $1.value }
        var actions: [LFSPointer: LFSAction] = [:]
        for start in stride(from: 0, to: wanted.count, by: Self.batch) {
            let part = wanted[start..<min(start + Self.batch, wanted.count)].map { (path: $0.value, pointer: $0.key) }
            actions.merge(try ask(part)) { $1 }
        }
        return actions
    }

    /// Where one object is now.
    func locate(_ path: BundlePath, _ pointer: LFSPointer) throws -> LFSAction {
        let found = try ask([(path, pointer)])
        guard let action = found[pointer] else { throw missing(path, pointer, "the server does not say where") }
        return action
    }

    /// The login, for requests to the server itself.
    func authorization(for url: WebAddress) -> String? {
        url.hasSameOrigin(as: endpoint) ? login.withLock { $0 } : nil
    }

    // MARK: The batch request

    private func ask(_ part: [(path: BundlePath, pointer: LFSPointer)]) throws -> [LFSPointer: LFSAction] {
        let answer = try decoded(try post(Self.body(part.map(\.pointer))))
        if let transfer = answer.transfer, transfer != "basic" {
            throw refusal("answers with the transfer '\(transfer.prefix(50))', which nobody asked for")
        }
        let objects = Dictionary((answer.objects ?? []).map { ($0.oid, $0) }) { first, _ in first }
        var actions: [LFSPointer: LFSAction] = [:]
        for (path, pointer) in part {
            guard let object = objects[pointer.digest.hex] else {
                throw missing(path, pointer, "the server does not name it")
            }
            if let error = object.error {
                throw missing(path, pointer, "\(Excerpt.of(error.message ?? "", limit: 200)) (\(error.code ?? 0))")
            }
            guard let download = object.actions?.download else {
                throw missing(path, pointer, "the server does not say where")
            }
            actions[pointer] = try LFSAction(
                download, isAuthenticated: object.authenticated ?? false, of: endpoint)
        }
        return actions
    }

    private static func body(_ pointers: [LFSPointer]) -> [UInt8] {
        let objects = pointers.map { JSON.members(["oid": .string($0.digest.hex), "size": .int($0.size)]) }
        let body = JSON.members([
            "operation": .string("download"), "transfers": .array([.string("basic")]), "objects": .array(objects),
            "hash_algo": .string("sha256"),
        ])
        return Array(body.compact.utf8)
    }

    private func post(_ body: [UInt8]) throws -> HTTPResponse {
        let url = endpoint.replacingTarget("\(endpoint.target)/objects/batch")
        return try retry.run { attempt in
            var (response, used) = try send(url, body)
            if response.status == 401 {
                // Nobody is told a password who does not ask for one.
                let login = try credentials.login(for: endpoint, rejecting: used)
                self.login.withLock { $0 = login }
                (response, used) = try send(url, body)
                credentials.report(endpoint, login, isGood: response.isSuccess)
            }
            guard response.isSuccess else {
                attempt.heard(response)
                throw refused(response)
            }
            return response
        }
    }

    private func send(_ url: WebAddress, _ body: [UInt8]) throws -> (HTTPResponse, String?) {
        var request = HTTPRequest(.post, url, body: .bytes(body))
        request.headers["Accept"] = Self.mediaType
        request.headers["Content-Type"] = Self.mediaType
        let login = login.withLock { $0 }
        request.headers["Authorization"] = login
        return (try transport.send(request, limit: 16 << 20), login)
    }

    private struct Answer: Decodable {
        struct Object: Decodable {
            struct Actions: Decodable { let download: LFSAction.Wire? }
            struct Failure: Decodable {
                let code: Int?
                let message: String?
            }
            let oid: String
            let authenticated: Bool?
            let actions: Actions?
            let error: Failure?
        }
        let transfer: String?
        let objects: [Object]?
    }

    private func decoded(_ response: HTTPResponse) throws -> Answer {
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(response.body))
        } catch {
            throw refusal("does not answer as the batch API of Git LFS")
        }
    }

    // MARK: Refusals

    func missing(_ path: BundlePath, _ pointer: LFSPointer, _ why: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "lfs.missing",
            "the LFS server of \(name) does not have \(path) (\(pointer.digest.hex.prefix(12))…): \(why)",
            remedy: "whoever pushed the file has to run git lfs push --all; or leave the file out with EXCLUDE")
    }

    private func refusal(_ what: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "lfs.answer", "the LFS server \(endpoint) of \(name) \(what)",
            remedy: "check lfs.url in .lfsconfig; --debug shows the requests")
    }

    private func refused(_ response: HTTPResponse) -> KapsuleError {
        let reason =
            "\(response.status)" + (response.excerpt(limit: 200).isEmpty ? "" : ": \(response.excerpt(limit: 200))")
        switch response.status {
        case 401, 403:
            return KapsuleError(
                .unauthorized, id: "lfs.unauthorized",
                "the LFS server of \(name) wants a login that it accepts (\(reason))",
                remedy: "set GIT_PAT to a token that may read the repository, or store one with git's credential helper"
            )
        case 404:
            return KapsuleError(
                .unavailable, id: "lfs.no-server", "there is no LFS server at \(endpoint) (\(reason))",
                remedy: "check that the repository has LFS turned on, and lfs.url in .lfsconfig")
        case let status where RetryPolicy.isTransient(status: status):
            return KapsuleError(
                .unavailable, id: "http.status", "the LFS server \(endpoint) fails (\(reason))",
                remedy: "try again later; running the command again resumes")
        default: return refusal("refuses (\(reason))")
        }
    }
}
