internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO

/// `docker-credential-NAME`: a program that keeps credentials.
///
/// Asked on standard input, answers on standard output; neither is ever shown or logged.
///
/// Source: docker/docker-credential-helpers, README, "Development".
struct CredentialHelper {
    /// A person may have to unlock a keyring.
    private static let timeout = Duration.seconds(120)
    private static let notFound = "credentials not found in native keychain"

    let name: String
    let environment: [String: String]

    private struct Wire: Codable {
        /// Asked about what we know: helpers that are scripts often leave it out of their answer, and Docker does not mind.
        let serverURL: String?
        let username: String
        let secret: String

        enum CodingKeys: String, CodingKey {
            case serverURL = "ServerURL"
            case username = "Username"
            case secret = "Secret"
        }
    }

    /// Nil when the helper knows nothing of the host.
    func get(_ server: String) throws -> Credential? {
        let result = try run("get", Array(server.utf8))
        if !result.isSuccess {
            if String(decoding: result.output, as: UTF8.self).contains(Self.notFound) { return nil }
            throw failed("get")
        }
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(result.output)) else { throw failed("get") }
        if wire.username.isEmpty, wire.secret.isEmpty { return nil }
        return wire.username == "<token>"
            ? .identityToken(wire.secret, user: nil) : .password(user: wire.username, password: wire.secret)
    }

    func store(_ server: String, user: String, password: String) throws {
        let wire = Wire(serverURL: server, username: user, secret: password)
        guard try run("store", Array(try JSONEncoder().encode(wire))).isSuccess else { throw failed("store") }
    }

    /// Whether there was something to erase.
    func erase(_ server: String) throws -> Bool {
        let result = try run("erase", Array(server.utf8))
        if !result.isSuccess, !String(decoding: result.output, as: UTF8.self).contains(Self.notFound) {
            throw failed("erase")
        }
        return result.isSuccess
    }

    private var program: String { "docker-credential-\(name)" }

    private func run(_ verb: String, _ input: [UInt8]) throws -> ChildProcess.Result {
        guard let path = ChildProcess.find(program, searchPath: environment["PATH"]) else {
            throw KapsuleError(
                .usage, id: "credentials.helper-missing",
                "the auth file wants \(Excerpt.shown(program)), which is not in PATH",
                remedy: "install it, or remove it from credHelpers and credsStore")
        }
        return try ChildProcess.run(path, [verb], environment: environment, input: input, timeout: Self.timeout)
    }

    private func failed(_ verb: String) -> KapsuleError {
        KapsuleError(
            .usage, id: "credentials.helper", "\(Excerpt.shown(program)) cannot \(verb) credentials",
            remedy: "run '\(Excerpt.shown(program)) list' to see what it says; its keyring may be locked")
    }
}

private enum Excerpt {
    /// A name from a file, made fit to be shown.
    static func shown(_ name: String) -> String {
        String(name.filter { $0.isLetter || $0.isNumber || "-_.".contains($0) })
    }
}
