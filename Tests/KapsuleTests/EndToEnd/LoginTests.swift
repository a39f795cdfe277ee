import Foundation
import TestSupport
import Testing

/// Passwords go where they are needed, and are seen nowhere.
@Suite(.enabled(if: EndToEnd.hasReaders)) struct LoginTests {
    private static let password = "s3cret-Pa55word"

    /// The password, alone and as it travels, and the tokens it brings.
    private func leaks(_ text: String, _ more: String...) -> [String] {
        let basic = Data("\(TokenServer.user):\(Self.password)".utf8).base64EncodedString()
        return ([Self.password, basic, "eyJ", "refresh-"] + more).filter(text.contains)
    }

    @Test func loginIsSharedWithSkopeoBothWays() throws {
        let registry = try ThrowawayRegistry(.basic(TokenServer.user, Self.password))
        let sandbox = try Sandbox()
        let image = "\(registry.host)/m:1"
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        let login = ["login", "--debug", "--username", TokenServer.user, "--password-stdin", registry.host]

        let wrong = try sandbox.start(login, input: "guess").wait()
        #expect(wrong.status == 3)
        #expect(!FileManager.default.fileExists(atPath: sandbox.authFile))

        let right = try sandbox.start(login, input: "\(Self.password)\n").wait()
        #expect(right.status == 0, "\(right.errors)")
        #expect(right.output == "")
        #expect(leaks(right.errors) == [])
        let mode = try FileManager.default.attributesOfItem(atPath: sandbox.authFile)[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o600)
        try sandbox.done("build", "-t", image, model)
        try sandbox.skopeo("inspect", "docker://\(image)")

        try sandbox.done("logout", registry.host)
        #expect(try sandbox.kapsule("pull", image).status == 3)
        try sandbox.tool(
            "skopeo",
            [
                "login", "--authfile", sandbox.authFile, "--tls-verify=false", "--username", TokenServer.user,
                "--password", Self.password, registry.host,
            ])
        try sandbox.done("pull", image)
    }

    /// A push, a pull and a failure with everything logged, with a login and with tokens.
    @Test(arguments: [false, true]) func nothingSecretIsEverPrinted(_ usesTokens: Bool) throws {
        let registry = try ThrowawayRegistry(
            usesTokens
                ? .token(try TokenServer(["--user", "\(TokenServer.user):\(Self.password)"]))
                : .basic(TokenServer.user, Self.password))
        let sandbox = try Sandbox()
        let image = "\(registry.host)/m:1"
        let model = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        let login = ["--debug", "--username", TokenServer.user, "--password-stdin"]
        for command in [
            ["build", "-t", image, model], ["pull", image], ["inspect", "--json", image],
            ["pull", "\(registry.host)/none:1"], ["pull", "--progress", "json", "-o", "layout", image],
        ] {
            let child = try sandbox.start(command + login, input: Self.password)
            let outcome = try child.wait()
            #expect(leaks(outcome.errors) == [], "\(command)")
            #expect(leaks(outcome.output) == [], "\(command)")
            #expect(outcome.errors.contains("GET"))
        }
        let wrong = try sandbox.start(["pull", image] + login, input: "\(Self.password)-not").wait()
        #expect(wrong.status == 3)
        #expect(leaks(wrong.errors) == [])
    }

    /// A helper program gets the host on standard input, and gives the password on standard output.
    @Test func helpersAreAskedWithoutArguments() throws {
        let registry = try ThrowawayRegistry(.basic(TokenServer.user, Self.password))
        let sandbox = try Sandbox()
        let script = """
            #!/bin/sh
            { echo "$0 $@"; tr '\\0' ' ' < /proc/$PPID/cmdline; echo; } >> "\(sandbox.path)/seen"
            printf '{"Username":"\(TokenServer.user)","Secret":"\(Self.password)"}'
            """
        let helper = try sandbox.directory.write("bin/docker-credential-test", script)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: helper)
        try sandbox.directory.write("docker/config.json", #"{"credsStore":"test"}"#)
        let model = try sandbox.context("m", modelfile: "FROM .\n")
        let path = "\(sandbox.path)/bin:\(sandbox.environment["PATH"] ?? "")"
        let outcome = try sandbox.kapsule("build", "--debug", "-t", "\(registry.host)/m:1", model, with: ["PATH": path])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(leaks(outcome.errors) == [])
        let seen = String(decoding: try sandbox.directory.read("seen"), as: UTF8.self)
        #expect(seen.contains("docker-credential-test get\n"))
        #expect(leaks(seen) == [])
    }
}
