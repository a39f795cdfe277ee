import Foundation
import HTTP
import KapsuleCore
import Synchronization
import TestSupport
import Testing

@testable import Hub

/// A hub whose answers a test writes down.
final class ScriptedHub: Sendable {
    static let commit = String(repeating: "c0ffee12", count: 5)
    private let server: Mutex<LoopbackServer?>
    let base: String

    /// - Parameter answer: gets path and query; nil is 404.
    init(_ answer: @escaping @Sendable (LoopbackServer.Request) -> LoopbackServer.Reply?) throws {
        let server = try LoopbackServer { answer($0) ?? LoopbackServer.Reply(404) }
        self.server = Mutex(server)
        base = server.base
    }

    /// One with a listing of `rows`.
    convenience init(rows: String, info: String = #"{"sha":"\#(ScriptedHub.commit)","gated":false}"#) throws {
        try self.init { request in
            if request.path.contains("/tree/") { return LoopbackServer.Reply(200, [], text: rows) }
            return request.path.contains("/api/models/a/b") ? LoopbackServer.Reply(200, [], text: info) : nil
        }
    }

    var requests: [LoopbackServer.Request] { server.withLock { $0?.requests ?? [] } }

    func client(_ environment: [String: String] = [:]) throws -> HubClient {
        let variables = ["HF_ENDPOINT": base, "KAPSULE_RETRY_DELAY_MS": "1"].merging(environment) { $1 }
        return HubClient(try HubSettings(environment: variables, transport: TransportSettings()))
    }

    func model(_ environment: [String: String] = [:]) throws -> HubModel {
        try client(environment).model("a/b", revision: nil, memory: .none) { $0 }
    }

    func error(_ environment: [String: String] = [:]) -> KapsuleError? {
        do {
            _ = try model(environment)
            return nil
        } catch {
            return error as? KapsuleError
        }
    }
}

private let oid = String(repeating: "ab", count: 20)

/// A row of a listing, as JSON.
private func row(_ path: String, size: String = "5", oid: String = oid) -> String {
    let name = String(
        decoding: (try? JSONSerialization.data(withJSONObject: path, options: .fragmentsAllowed)) ?? Data(),
        as: UTF8.self)
    return #"{"type":"file","oid":"\#(oid)","size":\#(size),"path":\#(name)}"#
}

@Suite struct ListingTests {
    @Test func ordersFilesAndPassesOverDirectoriesAndUnknownThings() throws {
        let hash = String(repeating: "0f", count: 32)
        let hub = try ScriptedHub(
            rows: """
                [\(row("z.json")), {"type":"directory","oid":"\(oid)","size":0,"path":"d"}, {"type":"commit","path":"sub"},
                 {"type":"file","oid":"\(oid)","size":7000000000000,"path":"d/m.gguf","new":[1.5,{"x":null}],
                  "lfs":{"oid":"\(hash)","size":7000000000000,"pointerSize":135},"xetHash":"zz"}, \(row("B.json")), \(row("a.json"))]
                """)
        let model = try hub.model()
        #expect(model.commit == ScriptedHub.commit)
        #expect(model.files.map(\.path.text) == ["B.json", "a.json", "d/m.gguf", "z.json"])
        #expect(model.files[2].source.size == 7_000_000_000_000)
        #expect(model.files[2].source.digest?.hex == hash)
        #expect(model.files[0].source.digest == nil)
    }

    @Test(
        arguments: [
            "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "..", "a\\..\\..\\x", "\\\\host\\share", "C:\\x",
            "c:/x",
            "a\u{0}b", "a\nb", "a\u{1B}[2Jb", "", String(repeating: "a", count: 300),
        ])
    func refusesHostilePaths(_ path: String) throws {
        let error = try ScriptedHub(rows: "[\(row(path))]").error()
        #expect(error?.code == .unverified)
        #expect(error?.id == "hub.path")
        #expect(error?.message.unicodeScalars.allSatisfy { $0.value >= 0x20 } == true)
    }

    @Test(
        arguments: [
            "[\(row("a")),\(row("a"))]", "[\(row("a")),\(row("a/b"))]", "[\(row("a", size: "-1"))]",
            "[\(row("a", size: "9223372036854775807"))]", "[\(row("a", oid: "xyz"))]", "[\(row("a", oid: "ABCDEF"))]",
            #"[{"type":"file","path":"a","size":5}]"#, #"[{"type":"file","path":"a","oid":"\#(oid)"}]"#,
            #"[{"type":"file","path":"a","size":5,"oid":"\#(oid)","lfs":{"oid":"00","size":5}}]"#,
            #"[{"type":"file","path":"a","size":6,"oid":"\#(oid)","lfs":{"oid":"\#(String(repeating: "0f", count: 32))","size":5}}]"#,
        ])
    func refusesListingsThatNoGitHolds(_ rows: String) throws {
        let error = try ScriptedHub(rows: rows).error()
        #expect(error?.code == .unverified)
        #expect(error?.id == "hub.listing")
    }

    @Test(arguments: ["", "x", "{}", "[1]", "[{}]", #"[{"type":"file","path":1}]"#, "[", #"{"error":"x"}"#])
    func refusesWhatIsNoListing(_ rows: String) throws {
        #expect(try ScriptedHub(rows: rows).error()?.id == "hub.document")
    }

    @Test(arguments: [#"{}"#, #"{"sha":""}"#, #"{"sha":"main"}"#, #"{"sha":null}"#])
    func anAnswerWithoutACommitIsNoRevision(_ info: String) throws {
        #expect(try ScriptedHub(rows: "[]", info: info).error()?.id == "hub.revision-not-found")
    }

    @Test(
        arguments: [
            (#""license":"apache-2.0""#, "apache-2.0"), (#""license":["mit","apache-2.0"]"#, "mit AND apache-2.0"),
            (#""license":"other","license_name":"qwen""#, "qwen"), (#""license":7"#, nil), (#""x":1"#, nil),
        ] as [(String, String?)])
    func takesTheLicenceOfTheCard(_ card: String, _ expected: String?) throws {
        let info = #"{"sha":"\#(ScriptedHub.commit)","gated":"auto","cardData":{\#(card)}}"#
        #expect(try ScriptedHub(rows: "[]", info: info).model().licenses == expected)
    }

    @Test func followsPagesOfItsOwnServerOnly() throws {
        let pages = Mutex<[String: String]>([:])
        let hub = try ScriptedHub { request in
            guard request.path.contains("/tree/") else {
                return LoopbackServer.Reply(200, [], text: #"{"sha":"\#(ScriptedHub.commit)"}"#)
            }
            let page = request.target.split(separator: "=").last.map(String.init) ?? ""
            let link = pages.withLock { $0[page] }.map { ["Link: <\($0)>; rel=\"next\""] } ?? []
            return LoopbackServer.Reply(200, link, text: "[\(row("file-\(page)"))]")
        }
        let tree = "/api/models/a/b/tree/\(ScriptedHub.commit)?cursor="
        func paths() throws -> [String] { try hub.model().files.map(\.path.text) }
        // Absolute, relative, and with the hub's own name left in it by a mirror.
        pages.withLock {
            $0 = ["false": "\(hub.base)\(tree)2", "2": "\(tree)3", "3": "https://huggingface.co\(tree)4"]
        }
        #expect(try paths() == ["file-2", "file-3", "file-4", "file-false"])
        for other in ["http://127.0.0.2:80/x?c=2", "http://127.0.0.1:1/x?c=2", "//other/x?c=2", "ftp://x/y?c=2"] {
            pages.withLock { $0 = ["false": other] }
            #expect(hub.error()?.id == "hub.link")
        }
        pages.withLock { $0 = ["false": "\(tree)2", "2": "\(tree)3", "3": "\(tree)2"] }
        #expect(hub.error()?.id == "hub.link")
    }

    @Test(arguments: [500, 502, 503, 504, 429, 408]) func triesTheApiAgain(_ status: Int) throws {
        let count = Atomic<Int>(0)
        let hub = try ScriptedHub { request in
            if count.wrappingAdd(1, ordering: .relaxed).newValue % 3 != 0 { return LoopbackServer.Reply(status) }
            let text = request.path.contains("/tree/") ? "[\(row("a"))]" : #"{"sha":"\#(ScriptedHub.commit)"}"#
            return LoopbackServer.Reply(200, [], text: text)
        }
        #expect(try hub.model().files.count == 1)
        #expect(hub.requests.count == 6)
    }

    @Test func givesUpWithTheRequestsName() throws {
        let hub = try ScriptedHub { _ in
            LoopbackServer.Reply(503, ["X-Request-Id: Root=1-abc", "X-Error-Message: busy\u{7}"], text: "{}")
        }
        let error = try #require(hub.error())
        #expect(error.code == .unavailable)
        #expect(
            error.message
                == "cannot look up a/b: 127.0.0.1:\(hub.base.split(separator: ":").last ?? "") fails: busy (503, request Root=1-abc)"
        )
        #expect(hub.requests.count == 5)
    }

    @Test func anAnswerForAnotherCommitIsRefused() throws {
        let hub = try ScriptedHub { request in
            if request.path.contains("/resolve/") {
                return LoopbackServer.Reply(200, ["X-Repo-Commit: \(oid)"], text: "hello")
            }
            let text = request.path.contains("/tree/") ? "[\(row("a"))]" : #"{"sha":"\#(ScriptedHub.commit)"}"#
            return LoopbackServer.Reply(200, [], text: text)
        }
        let file = try #require(try hub.model().files.first)
        let error = try #require(throws: KapsuleError.self) { try file.source.readAll(limit: 10, what: "a") }
        #expect(error.id == "hub.commit")
    }

    /// Longer, shorter, other: never a byte of it comes out.
    @Test(arguments: ["hellO", "hell", "hello!", ""]) func aSmallFileThatIsNotItsGitNameIsRefused(_ content: String)
        throws
    {
        // git hash-object of "hello"
        let name = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
        let hub = try ScriptedHub { request in
            if request.path.contains("/resolve/") { return LoopbackServer.Reply(200, [], text: content) }
            let text =
                request.path.contains("/tree/") ? "[\(row("a", oid: name))]" : #"{"sha":"\#(ScriptedHub.commit)"}"#
            return LoopbackServer.Reply(200, [], text: text)
        }
        let file = try #require(try hub.model().files.first)
        var sink = MemorySink()
        let error = try #require(throws: KapsuleError.self) { try file.source.read(0..<5, into: &sink) }
        #expect(error.code == .unverified)
        #expect(error.id == "content.mismatch")
        #expect(sink.bytes.isEmpty)
        #expect(hub.requests.filter { $0.path.contains("/resolve/") }.count == 3)
    }
}
