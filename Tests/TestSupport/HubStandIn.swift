internal import Foundation

/// A stand-in for the hub and its storage, on two free ports of this machine, over a directory of repositories.
public final class HubStandIn {
    public static var isUsable: Bool { TestProgram.python.isUsable }

    private let process: BackgroundProcess
    private let files: TemporaryDirectory
    public let port: Int
    public let storagePort: Int
    private let prefix: String

    /// - Parameters:
    ///   - root: has `ORG/NAME` for the branch `main`, and `ORG/NAME@REVISION` for others.
    ///   - options: of `hf_standin.py serve`.
    public init(_ root: String, _ options: [String] = []) throws {
        files = try TemporaryDirectory()
        let ready = "\(files.path)/ready"
        process = try BackgroundProcess(
            .python,
            ["\(TestProgram.directory)/hf_standin.py", "serve", root, "--port", "0", "--ready-file", ready] + options)
        let deadline = Date().addingTimeInterval(60)
        var words: [Int] = []
        while words.count < 2 {
            guard Date() < deadline else {
                throw TestProgram.Missing(description: "the hub's stand-in did not start:\n\(process.output)")
            }
            words = ((try? String(contentsOfFile: ready, encoding: .utf8)) ?? "").split { " \n".contains($0) }
                .compactMap { Int($0) }
            if words.count < 2 { usleep(20_000) }
        }
        (port, storagePort) = (words[0], words[1])
        prefix = options.firstIndex(of: "--prefix").map { options[$0 + 1] } ?? ""
    }

    /// For `HF_ENDPOINT`.
    public var endpoint: String { "http://127.0.0.1:\(port)\(prefix)" }

    /// One request, as its log has it.
    public struct Request: Sendable {
        /// `hub` or `cdn`.
        public let server: String
        public let method: String
        public let path: String
        public let status: Int
        /// Bytes of the body.
        public let sent: Int
        public let range: String?
        public let hasToken: Bool
    }

    /// All since the last `forget`, in the order in which they ended.
    public var requests: [Request] {
        get throws {
            let rows = try JSONSerialization.jsonObject(with: try control("GET", "log")) as? [[String: Any]] ?? []
            return rows.map { row in
                Request(
                    server: row["server"] as? String ?? "", method: row["method"] as? String ?? "",
                    path: row["path"] as? String ?? "", status: row["status"] as? Int ?? 0,
                    sent: row["sent"] as? Int ?? 0, range: row["range"] as? String,
                    hasToken: row["auth"] as? Bool ?? false)
            }
        }
    }

    public func forget() throws { _ = try control("DELETE", "log") }

    /// Replaces the faults that it has. See Tests/Tools/hf_standin.py.
    public func setFaults(_ faults: [[String: Any]]) throws {
        _ = try control("PUT", "faults", try JSONSerialization.data(withJSONObject: faults))
    }

    /// After files have changed.
    public func reload() throws { _ = try control("POST", "reload") }

    /// Commits by revision.
    public func commit(_ repository: String, _ revision: String = "main") throws -> String {
        let name = revision.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? revision
        let data = try get("\(endpoint)/api/models/\(repository)/revision/\(name)")
        return (try JSONSerialization.jsonObject(with: data) as? [String: Any])?["sha"] as? String ?? ""
    }

    private func control(_ method: String, _ what: String, _ body: Data? = nil) throws -> Data {
        try get("http://127.0.0.1:\(port)/__standin__/\(what)", method, body)
    }

    private func get(_ url: String, _ method: String = "GET", _ body: Data? = nil) throws -> Data {
        var arguments = ["-sS", "--fail", "-X", method, url]
        if let body { arguments += ["--data-binary", "@" + (try files.write("body", Array(body)))] }
        return Data(try TestProgram.curl.check(arguments).utf8)
    }
}
