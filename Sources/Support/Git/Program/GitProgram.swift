internal import KapsuleCore
internal import KapsuleIO

/// The `git` program, started so that the machine decides where credentials and proxies are, and nothing else.
///
/// No hook, alias, template or rewritten address of the user or of the working directory takes part. Secrets are neither
/// in arguments nor in what is logged.
struct GitProgram: Sendable {
    /// What it said, and how it ended.
    struct Answer: Sendable {
        let isSuccess: Bool
        let output: [UInt8]
        /// Standard error, its last part.
        let errors: String
    }

    /// Variables of git's own that are kept. All others could change what is read, or from where.
    private static let kept: Set<String> = [
        "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_PAT",
    ]
    /// Settings of the user and of the machine that are heeded.
    private static let heeded = "^(credential|http|safe)\\."
    /// How long one run may take; one over which nothing moves ends sooner.
    private static let longestRun = Duration.seconds(6 * 3600)

    private let path: String
    private let environment: [String: String]
    /// PEM file of the authorities that vouch for servers; nil for the system's.
    let authorities: String?

    /// - Parameters:
    ///   - protocols: that git may use: `https`, or `https:http`, or `file`.
    ///   - tokenHost: the only one that is told GIT_PAT, as `https://HOST:PORT`; nil for none.
    /// - Throws: `.usage` when git is not installed.
    init(environment: [String: String], protocols: String, tokenHost: String?) throws {
        guard let path = ChildProcess.find("git", searchPath: environment["PATH"]) else {
            throw KapsuleError(
                .usage, id: "git.missing", "FROM names a git repository, and there is no git program in PATH",
                remedy:
                    "install it (apt-get install git), or fetch the model into a directory and write FROM ./DIRECTORY")
        }
        self.path = path
        var clean = environment.filter { !$0.key.hasPrefix("GIT_") || Self.kept.contains($0.key) }
        // Messages are looked at.
        clean["LC_ALL"] = "C"
        clean["GIT_TERMINAL_PROMPT"] = "0"
        clean["GIT_ALLOW_PROTOCOL"] = protocols
        let users = try Self.settings(path, clean)
        authorities =
            clean["GIT_SSL_CAINFO"] ?? users.last { $0.key == "http.sslcainfo" }?.value ?? environment["SSL_CERT_FILE"]
        // What holds for all else here holds for git, which may be built with a library that does not look.
        clean["GIT_SSL_CAINFO"] = authorities
        clean["GIT_CONFIG_NOSYSTEM"] = "1"
        clean["GIT_CONFIG_GLOBAL"] = "/dev/null"
        clean["GIT_ATTR_NOSYSTEM"] = "1"
        for (index, setting) in (users + (try Self.own(tokenHost, environment["GIT_PAT"]))).enumerated() {
            clean["GIT_CONFIG_KEY_\(index)"] = setting.key
            clean["GIT_CONFIG_VALUE_\(index)"] = setting.value
            clean["GIT_CONFIG_COUNT"] = String(index + 1)
        }
        self.environment = clean
    }

    /// Settings that come last and so win.
    private static func own(_ host: String?, _ token: String?) throws -> [(key: String, value: String)] {
        var settings = [
            ("core.hooksPath", "/dev/null"), ("core.fsmonitor", "false"), ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("protocol.version", "2"), ("fetch.negotiationAlgorithm", "noop"), ("submodule.recurse", "false"),
            // A server that stops sending is given up after a minute.
            ("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", "60"),
        ]
        guard let host, let token, !token.isEmpty else { return settings }
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw KapsuleError(
                .usage, id: "git.token", "GIT_PAT holds blanks or other characters that no token has",
                remedy: "set it to the token alone, without a line end")
        }
        // An empty helper forgets those before it. The token itself stays in the environment.
        settings.append(("credential.\(host).helper", ""))
        settings.append(
            (
                "credential.\(host).helper",
                #"!f() { test "$1" = get && printf 'username=kapsule\npassword=%s\n' "$GIT_PAT"; }; f"#
            ))
        return settings
    }

    private static func settings(
        _ git: String, _ environment: [String: String]
    ) throws -> [(key: String, value: String)] {
        try ["--system", "--global"].flatMap { scope in
            let result = try ChildProcess.run(
                git, ["config", scope, "--null", "--get-regexp", heeded], environment: environment)
            // Where there is no such file or setting, it ends with another status and says nothing.
            return String(decoding: result.output, as: UTF8.self).split(separator: "\0").map { entry in
                let parts = entry.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "true")
            }
        }
    }

    /// Runs it to its end.
    ///
    /// - Parameter limit: longest standard output, in bytes.
    func run(_ arguments: [String], input: [UInt8] = [], limit: Int = 1 << 20) throws -> Answer {
        let errors = try StandardErrorFile()
        let result = try ChildProcess.run(
            path, arguments, environment: environment, input: input, outputLimit: limit, timeout: Self.longestRun,
            errors: errors.file)
        return Answer(isSuccess: result.isSuccess, output: result.output, errors: try errors.text())
    }

    /// Hands its standard output on as it comes.
    func stream(_ arguments: [String], deliver: (Span<UInt8>) throws -> Void) throws -> Answer {
        let errors = try StandardErrorFile()
        let end = try ChildProcess.stream(
            path, arguments, environment: environment, errors: errors.file, deliver: deliver)
        return Answer(isSuccess: end == .exited(0), output: [], errors: try errors.text())
    }
}

/// Where a program says what went wrong: a file without a name.
struct StandardErrorFile {
    private static let longest = 16 << 10
    private let atomic: AtomicFile

    init() throws {
        atomic = try AtomicFile(in: CurrentProcess.temporaryDirectory, mode: 0o600)
    }

    var file: OpenFile { atomic.file }

    /// The last part of it.
    func text() throws -> String {
        let size = try file.status().size
        var block = [UInt8](repeating: 0, count: Self.longest)
        let count = try file.read(at: max(0, size - Int64(Self.longest)), into: &block, limit: Self.longest)
        return String(decoding: block.prefix(count), as: UTF8.self)
    }
}
