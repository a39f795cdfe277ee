import Foundation
import TestSupport
import Testing

/// The whole journey through a real registry, for every kind of login, with and without TLS.
@Suite(
    .enabled(if: EndToEnd.hasRegistry && TestProgram.openssl.isUsable && TestProgram.pythonCryptography.isUsable))
struct RegistryMatrixTests {
    enum Login: CaseIterable { case none, basic, token }
    /// How the registry's authority is made known; nil for plain HTTP.
    enum Trust: CaseIterable { case plain, variable, directory, none }

    static let cases = Login.allCases.flatMap { login in Trust.allCases.map { (login, $0) } }

    @Test(arguments: cases) func carriesAModelThereAndBack(_ login: Login, _ trust: Trust) throws {
        let certificates = trust == .plain ? nil : try TestCertificates()
        let registry = try Self.registry(login, certificates)
        let sandbox = try Sandbox()
        var flags: [String] = []
        if let certificates {
            let authority = try String(contentsOfFile: certificates.authority, encoding: .utf8)
            switch trust {
            case .plain: break
            case .variable:
                try sandbox.directory.write("ca.crt", authority)
                sandbox.environment["SSL_CERT_FILE"] = "\(sandbox.path)/ca.crt"
            case .directory: try sandbox.directory.write("home/.docker/certs.d/\(registry.host)/ca.crt", authority)
            case .none: flags = ["--insecure"]
            }
        }
        func run(_ arguments: String..., input: String = "") throws {
            let outcome = try sandbox.start(arguments + flags, input: input).wait()
            #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
        }
        if login != .none {
            try run(
                "login", "--username", TokenServer.user, "--password-stdin", registry.host, input: TokenServer.password)
        }
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        let image = "\(registry.host)/acme/m"
        try run("build", "-t", "\(image):1", context)
        try run("pull", "--format", "hf", "-o", "out", "\(image):1")
        #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(context)) == [])
        try run("pull", "\(image):1")
        // To another repository: mounted, under a token for both.
        try run("push", "\(image):1", "\(registry.host)/other/m:2")
        try run("verify", "\(registry.host)/other/m:2")
        #expect(registry.openUploads == [])
        #expect(sandbox.debris == [])
        guard login != .none else { return }
        let logout = try sandbox.kapsule("logout", registry.host)
        #expect(logout.status == 0)
        let refused = try sandbox.start(["push", "\(image):1", "\(registry.host)/third/m:3"] + flags).wait()
        #expect(refused.status == 3, "\(refused.errors)")
    }

    private static func registry(_ login: Login, _ certificates: TestCertificates?) throws -> ThrowawayRegistry {
        switch login {
        case .none: try ThrowawayRegistry(tls: certificates)
        case .basic: try ThrowawayRegistry(.basic(TokenServer.user, TokenServer.password), tls: certificates)
        case .token: try ThrowawayRegistry(.token(TokenServer()), tls: certificates)
        }
    }

    /// By name, by address of either kind, with a port or without a tag.
    @Test(arguments: ["127.0.0.1", "[::1]", "localhost"]) func isReachedByAnyName(_ name: String) throws {
        let registry = try ThrowawayRegistry(address: name == "[::1]" ? name : "127.0.0.1")
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        let image = "\(name):\(registry.port)/acme/m"
        let reference = try sandbox.done("build", "-t", image, context)
        #expect(reference.hasPrefix("\(image)@sha256:"))
        try sandbox.done("pull", image)
        #expect(try sandbox.done("ls").contains("\(image):latest"))
        try sandbox.done("push", "\(image):latest", "\(image):again")
        try sandbox.done("pull", "--format", "hf", "-o", "out", reference)
        #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(context)) == [])
    }
}
