internal import Foundation
internal import Synchronization

/// A registry inside the test, written from the OCI distribution specification, that misbehaves when told.
///
/// What it keeps is in memory. It checks what it is sent as strictly as the specification allows: a digest that is not
/// the content's, a manifest whose blobs are missing, a chunk out of order are refused.
///
/// Source: OCI distribution-spec 1.1; Docker, "Token Authentication Specification".
public final class TestRegistry: Sendable {
    public typealias Request = LoopbackServer.Request
    public typealias Reply = LoopbackServer.Reply

    /// What kind of registry it is on good days.
    public struct Character: Sendable {
        /// What becomes of the bytes of a request body that broke off.
        public enum Interruption: Sendable {
            /// They count, and the session says how many there are: distribution 3, zot.
            case keeps
            /// The session is dead: distribution 2.8.
            case breaks
        }

        public enum Access: Sendable {
            case open
            case basic(user: String, password: String)
            /// Tokens of its own, each good for so many requests.
            case token(requests: Int)
        }

        public var interruption = Interruption.keeps
        public var access = Access.open
        /// Whether PATCH is known at all.
        public var patches = true
        /// Longest body of a PATCH or PUT, in bytes; longer ones are refused with 413.
        public var longestBody = Int.max
        /// Shortest chunk that it takes, which it announces; nil for none.
        public var shortestChunk: Int?
        /// Whether `Range` is honoured.
        public var ranges = true
        /// Whether it says how long a blob is.
        public var lengths = true
        /// What it answers to a tag that is there and is to become another image; nil where tags may move.
        public var fixedTags: (status: Int, code: String, message: String)?
        /// Whether it has the referrers API.
        public var referrers = true

        public init() {}
    }

    /// Something that goes wrong, once.
    public enum Fault: Sendable, Hashable {
        /// An answer of this status, after the whole request was read.
        case status(Int)
        /// The request's body is read up to there, then the connection ends.
        case requestCut(after: Int), requestReset(after: Int)
        /// The answer ends there: negative for bytes of the head, else bytes of the body.
        case answerCut(after: Int), answerReset(after: Int)
        /// The answer stops there until the client goes.
        case stall(after: Int)
        /// Everything was done, and nobody says so.
        case lostAnswer
        /// `Content-Length` is wrong by so much.
        case length(Int)
        /// `Content-Range` is wrong by so much; the bytes are those asked for.
        case rangeLabel(Int)
        /// Bytes of another range, honestly labelled: earlier ones again, or later ones first.
        case otherRange(Int)
        /// Bytes of another range under the label of the one asked for.
        case swappedRange(Int)
        /// One bit of the answer's body is wrong.
        case corrupt(at: Int)
        /// A `Docker-Content-Digest` of something else.
        case otherDigest
        /// `Range` is ignored.
        case wholeBlob
        /// Tokens are worth nothing from now on.
        case expiry
        /// The upload session is gone.
        case forgottenUpload
        /// So many bytes at a time, with a pause before each.
        case drip(bytes: Int, milliseconds: Int32)
        /// All connections end, and upload sessions are forgotten.
        case restart
    }

    struct Manifest {
        let type: String
        let bytes: [UInt8]
    }

    struct Upload {
        let repository: String
        var bytes: [UInt8] = []
        var isBroken = false
    }

    struct State {
        /// By digest.
        var blobs: [String: [UInt8]] = [:]
        /// Digests by repository.
        var linked: [String: Set<String>] = [:]
        /// By repository and digest.
        var manifests: [String: Manifest] = [:]
        /// By repository and tag.
        var tags: [String: String] = [:]
        var uploads: [String: Upload] = [:]
        var uploadCount = 0
        /// Requests that each token is still good for.
        var tokens: [String: Int] = [:]
        var tokenCount = 0
        var plans: [Plan] = []
        var faultsDone: [Fault] = []
        var bytesSent: Int64 = 0
        var bytesReceived: Int64 = 0
    }

    struct Plan {
        let method: String
        let part: String
        var skips: Int
        let fault: Fault
    }

    final class Shared: Sendable {
        let character: Character
        let state = Mutex(State())
        let server = Mutex<LoopbackServer?>(nil)

        init(_ character: Character) { self.character = character }
    }

    private let shared: Shared
    private let server: LoopbackServer

    public init(_ character: Character = Character()) throws {
        let shared = Shared(character)
        self.shared = shared
        server = try LoopbackServer { [weak shared] request in shared?.answer(request) ?? Reply(503) }
        shared.server.withLock { [server] in $0 = server }
    }

    deinit { shared.server.withLock { $0 = nil } }

    public var host: String { server.host }
    public var port: Int { server.port }
    public var requests: [Request] { server.requests }

    /// Blobs by digest.
    public var blobs: [String: [UInt8]] { shared.state.withLock(\.blobs) }
    /// Digest of the manifest under a tag.
    public func manifest(_ repository: String, _ tag: String) -> String? {
        shared.state.withLock { $0.tags["\(repository):\(tag)"] }
    }
    /// Sessions that are neither closed nor cancelled.
    public var openUploads: Int { shared.state.withLock { $0.uploads.count } }
    /// Bytes of blobs that were handed to the network, and bytes of blobs that came.
    public var bytesSent: Int64 { shared.state.withLock(\.bytesSent) }
    public var bytesReceived: Int64 { shared.state.withLock(\.bytesReceived) }
    public func resetCounters() { shared.state.withLock { ($0.bytesSent, $0.bytesReceived) = (0, 0) } }

    /// Changes what is kept of a blob, as a failing disk does; puts it there where it was not.
    public func keep(_ bytes: [UInt8], as digest: String, in repository: String) {
        shared.state.withLock { state in
            state.blobs[digest] = bytes
            state.linked[repository, default: []].insert(digest)
        }
    }

    /// Lets something go wrong with the next request of that method whose path has `part`, after `skips` of them.
    public func plan(_ fault: Fault, on method: String, _ part: String = "", after skips: Int = 0) {
        shared.state.withLock { $0.plans.append(Plan(method: method, part: part, skips: skips, fault: fault)) }
    }

    /// What is to go wrong, in words.
    public var planned: String {
        shared.state.withLock { $0.plans.map { "\($0.fault) on \($0.method) \($0.part) after \($0.skips)" } }
            .joined(separator: "; ") + ", \(shared.character)"
    }

    /// Nothing goes wrong any more.
    public func forgive() { shared.state.withLock { $0.plans = [] } }

    /// What went wrong so far.
    public var faultsDone: [Fault] { shared.state.withLock(\.faultsDone) }

    public func restart() { shared.restart() }
}
