internal import ArgumentParser
internal import KapsuleCore
internal import KapsuleIO
internal import OCI

struct Login: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Check a password with a registry and keep it in the auth file.",
        discussion: """
            The file is Docker's, so skopeo, podman and docker use it too.

              printf %s "$TOKEN" | kapsule login --username you --password-stdin ghcr.io
            """)

    @Argument(help: "HOST or HOST:PORT")
    var host: String

    @OptionGroup(title: "Registry") var registry: RegistryFlags
    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        guard let username = registry.username ?? toolbox.environment["OCI_USERNAME"] else {
            throw KapsuleError(
                .usage, id: "usage.no-username", "there is no user name to log in with",
                remedy: "add --username NAME and --password-stdin")
        }
        let password =
            try registry.passwordStdin
            ? RegistryFlags.passwordFromStandardInput()
            : registry.password ?? toolbox.environment["OCI_PASSWORD"] ?? Self.ask(username, host)
        var flags = registry
        flags.username = username
        flags.password = password
        flags.passwordStdin = false
        try toolbox.registries(flags).client(for: Reference(host: host, repository: "library/kapsule", tag: nil)).ping()
        let place = try CredentialStore(environment: toolbox.environment, authFile: registry.authfile)
            .login(host, username: username, password: password)
        toolbox.note("logged in to \(host); the password is in \(place)")
    }
}

extension Login {
    private static func ask(_ username: String, _ host: String) throws -> String {
        guard StandardInput.isTerminal else {
            throw KapsuleError(
                .usage, id: "usage.no-password", "there is no password for \(username) at \(host)",
                remedy: "pipe it in with --password-stdin")
        }
        return try StandardInput.readSecretLine(prompt: "Password for \(username) at \(host): ")
    }
}

struct Logout: Verb {
    static let configuration = CommandConfiguration(abstract: "Forget the password of a registry.")

    @Argument(help: "HOST or HOST:PORT")
    var host: String

    @Option(help: ArgumentHelp("Use this auth file only.", valueName: "path"))
    var authfile: String?

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let wasLoggedIn = try CredentialStore(environment: toolbox.environment, authFile: authfile).logout(host)
        toolbox.note(wasLoggedIn ? "logged out of \(host)" : "there was no login for \(host)")
    }
}
