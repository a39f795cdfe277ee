internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore

/// Logins that git's helpers know, or the token in GIT_PAT, which stands in for them.
///
/// Source: git-credential(1).
struct GitCredentials: Sendable {
    private let git: GitProgram

    init(_ git: GitProgram) { self.git = git }

    /// The header that goes with requests to `server`.
    ///
    /// - Parameter rejecting: a login that was not good.
    /// - Throws: `.unauthorized` where nobody knows one.
    func login(for server: WebAddress, rejecting old: String?) throws -> String {
        if let old { report(server, old, isGood: false) }
        let answer = try git.run(["credential", "fill"], input: Self.description(server))
        let values = Self.values(answer.output)
        guard answer.isSuccess, let user = values["username"], let password = values["password"],
            Self.header(user, password) != old
        else {
            throw KapsuleError(
                .unauthorized, id: "lfs.unauthorized",
                old == nil
                    ? "\(server.authority) wants a login, and there is none"
                    : "\(server.authority) does not accept the login",
                remedy: "set GIT_PAT to a token that may read the repository, or store one with git's credential helper"
            )
        }
        return Self.header(user, password)
    }

    /// Tells the helpers, so that they keep or forget it.
    func report(_ server: WebAddress, _ login: String, isGood: Bool) {
        guard let (user, password) = Self.parts(login) else { return }
        let text = Self.description(server).dropLast() + Array("username=\(user)\npassword=\(password)\n\n".utf8)
        _ = try? git.run(["credential", isGood ? "approve" : "reject"], input: Array(text))
    }

    private static func description(_ server: WebAddress) -> [UInt8] {
        Array("protocol=\(server.scheme.rawValue)\nhost=\(server.authority)\n\n".utf8)
    }

    private static func values(_ output: [UInt8]) -> [String: String] {
        var values: [String: String] = [:]
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
        return values
    }

    private static func header(_ user: String, _ password: String) -> String {
        "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
    }

    private static func parts(_ header: String) -> (user: String, password: String)? {
        guard let bytes = Data(base64Encoded: String(header.dropFirst(6))) else { return nil }
        let parts = String(decoding: bytes, as: UTF8.self).split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
    }
}
