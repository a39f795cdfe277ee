internal import KapsuleCore
internal import KapsuleIO

/// Where credentials come from, in the order podman and skopeo look, first hit wins.
///
/// 1. what was given: `--username` and `--password`, else `OCI_USERNAME` and `OCI_PASSWORD`
/// 2. `--authfile`, else `REGISTRY_AUTH_FILE`; then only that file
/// 3. `$XDG_RUNTIME_DIR/containers/auth.json`, `$XDG_CONFIG_HOME/containers/auth.json`,
///    `$DOCKER_CONFIG/config.json`, `~/.dockercfg`, each with its credential helpers
///
/// Source: containers-auth.json(5); containers/image `pkg/docker/config`. Unlike these, `credsStore` is honoured, as
/// Docker does.
public struct CredentialStore: Sendable {
    private let environment: [String: String]
    private let given: (user: String, password: String)?
    private let authFile: String?
    private let isAnonymous: Bool

    /// - Parameter environment: of the process; nothing else is looked up.
    public init(
        environment: [String: String], username: String? = nil, password: String? = nil, authFile: String? = nil
    ) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        self.environment = environment
        if let user = username ?? value("OCI_USERNAME"), let password = password ?? value("OCI_PASSWORD") {
            given = (user, password)
        } else {
            given = nil
        }
        self.authFile = authFile ?? value("REGISTRY_AUTH_FILE")
        isAnonymous = false
    }

    private init() {
        (environment, given, authFile, isAnonymous) = ([:], nil, nil, true)
    }

    /// Nobody, everywhere.
    public static let anonymous = CredentialStore()

    // MARK: Looking up

    /// Who we are to a repository; nil for nobody.
    ///
    /// - Parameter host: as people write it: `localhost:5000`, `docker.io`.
    /// - Throws: `.usage` for an auth file that cannot be read, or a helper that does not work.
    public func credential(for host: String, repository: String) throws -> Credential? {
        if isAnonymous { return nil }
        if let given { return .password(user: given.user, password: given.password) }
        for file in try files() {
            if let credential = try credential(in: file, host, repository) { return credential }
        }
        return nil
    }

    private func credential(in file: AuthFile, _ host: String, _ repository: String) throws -> Credential? {
        if let name = file.helper(for: host) { return try helper(name).get(RegistryKey.written(host)) }
        if let credential = file.credential(for: host, repository: repository) { return credential }
        return try file.store.flatMap { try helper($0).get(RegistryKey.written(host)) }
    }

    private func helper(_ name: String) -> CredentialHelper { CredentialHelper(name: name, environment: environment) }

    // MARK: Where the files are

    private func files() throws -> [AuthFile] {
        if let authFile {
            guard let file = try AuthFile.reading(authFile) else {
                throw KapsuleError(
                    .usage, id: "credentials.not-found", "there is no auth file \(authFile)",
                    remedy: "check the path given by --authfile or REGISTRY_AUTH_FILE, or log in first")
            }
            return [file]
        }
        return try places.compactMap { try AuthFile.reading($0, isLegacy: $0.hasSuffix("/.dockercfg")) }
    }

    private func directory(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    private var places: [String] {
        let home = directory("HOME")
        return [
            directory("XDG_RUNTIME_DIR").map { "\($0)/containers/auth.json" }
                ?? "/run/containers/\(ChildProcess.userID)/auth.json",
            (directory("XDG_CONFIG_HOME") ?? home.map { "\($0)/.config" }).map { "\($0)/containers/auth.json" },
            dockerConfig,
            home.map { "\($0)/.dockercfg" },
        ].compactMap(\.self)
    }

    private var dockerConfig: String? {
        (directory("DOCKER_CONFIG") ?? directory("HOME").map { "\($0)/.docker" }).map { "\($0)/config.json" }
    }

    // MARK: Logging in and out

    /// Keeps a login, where Docker would: with the helper that the auth file names, else in the file itself.
    ///
    /// It goes into the first auth file that speaks of this host already, since that one would be found first; else
    /// into `$DOCKER_CONFIG/config.json`. Whether the login is good is not checked here: see `RegistryClient.ping`.
    ///
    /// - Returns: where it was put, for people.
    @discardableResult
    public func login(_ host: String, username: String, password: String) throws -> String {
        let host = RegistryName(host: host).host
        var file = try fileForLogin(host)
        if let name = file.helper(for: host) ?? file.store {
            try helper(name).store(RegistryKey.written(host), user: username, password: password)
            if file.helper(for: host) == nil {
                file.set(host, user: username, password: nil)
                try file.write()
            }
            return "docker-credential-\(name)"
        }
        file.set(host, user: username, password: password)
        try file.write()
        return file.path
    }

    private func fileForLogin(_ host: String) throws -> AuthFile {
        if let authFile { return try AuthFile.reading(authFile) ?? AuthFile(new: authFile) }
        if let file = try files().first(where: { $0.mentions(host) && !$0.isLegacy }) { return file }
        guard let dockerConfig else {
            throw KapsuleError(
                .usage, id: "credentials.no-home", "there is no place for a login: HOME is not set",
                remedy: "set HOME or DOCKER_CONFIG, or name a file with --authfile")
        }
        return try AuthFile.reading(dockerConfig) ?? AuthFile(new: dockerConfig)
    }

    /// Forgets a login, wherever it is; false when there was none.
    public func logout(_ host: String) throws -> Bool {
        let host = RegistryName(host: host).host
        var found = false
        for var file in try files() {
            if let name = file.helper(for: host) ?? file.store {
                found = try helper(name).erase(RegistryKey.written(host)) || found
            }
            if file.remove(host) {
                try file.write()
                found = true
            }
        }
        return found
    }
}
