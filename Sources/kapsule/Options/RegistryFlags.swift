internal import ArgumentParser
internal import KapsuleCore
internal import KapsuleIO
internal import OCI

/// How registries are reached.
struct RegistryFlags: ParsableArguments {
    @Option(help: ArgumentHelp("User name for the registry.", valueName: "name"))
    var username: String?

    @Option(help: ArgumentHelp("Password for the registry; --password-stdin keeps it out of sight.", valueName: "text"))
    var password: String?

    @Flag(help: "Read the password from standard input.")
    var passwordStdin = false

    @Option(help: ArgumentHelp("Use this auth file only.", valueName: "path"))
    var authfile: String?

    @Flag(help: "Do not check the registry's certificate.")
    var insecure = false

    @Flag(name: .customLong("plain-http"), help: "Talk plain HTTP; loopback addresses do so without being asked.")
    var plainHTTP = false

    func validate() throws {
        if passwordStdin, password != nil {
            throw ValidationError("--password and --password-stdin exclude each other.")
        }
        if password != nil || passwordStdin, username == nil {
            throw ValidationError("A password needs a --username.")
        }
    }

    func credentials(_ environment: [String: String]) throws -> CredentialStore {
        CredentialStore(
            environment: environment, username: username,
            password: passwordStdin ? try Self.passwordFromStandardInput() : password, authFile: authfile)
    }

    /// One line; the line end is not part of the password.
    static func passwordFromStandardInput() throws -> String {
        var bytes = try StandardInput.readAll(limit: 64 << 10)
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else {
            throw KapsuleError(
                .usage, id: "usage.no-password", "standard input holds no password",
                remedy: "pipe it in: printf %s \"$PASSWORD\" | kapsule … --password-stdin")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
