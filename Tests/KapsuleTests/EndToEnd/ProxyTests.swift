import Foundation
import TestSupport
import Testing

/// A registry behind a proxy, as the environment names it.
@Suite(
    .enabled(if: EndToEnd.hasRegistry && TestProgram.openssl.isUsable && TestProgram.python.isUsable))
struct ProxyTests {
    /// A registry called `registry.test`, which only the proxy knows.
    private struct Place {
        let registry: ThrowawayRegistry
        let proxy: ProxyStandIn
        let sandbox: Sandbox
        let context: String
        let image: String

        init(isSecure: Bool, _ options: [String] = []) throws {
            let certificates = isSecure ? try TestCertificates() : nil
            registry = try ThrowawayRegistry(tls: certificates)
            proxy = try ProxyStandIn(to: registry.port, options)
            sandbox = try Sandbox()
            if let certificates {
                try sandbox.directory.write(
                    "ca.crt", String(contentsOfFile: certificates.authority, encoding: .utf8))
                sandbox.environment["SSL_CERT_FILE"] = "\(sandbox.path)/ca.crt"
            }
            context = try sandbox.context("m", modelfile: "FROM .\n")
            image = "registry.test\(isSecure ? "" : ":5000")/acme/m:1"
        }

        /// Builds into the registry and pulls from it.
        func roundTrip(_ options: [String] = []) throws {
            for command in [["build", "-t", image, context], ["pull", "--format", "hf", "-o", "out", image]] {
                let outcome = try sandbox.start(command + options).wait()
                #expect(outcome.status == 0, "\(outcome.errors)")
            }
            #expect(try FileTree("\(sandbox.path)/desk/out").differences(from: FileTree(context)) == [])
        }

        func failure(_ options: [String] = []) throws -> Child.Outcome {
            try sandbox.start(["build", "-t", image, context] + options).wait()
        }
    }

    @Test(arguments: ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"]) func tunnelsTLS(_ variable: String) throws {
        let place = try Place(isSecure: true)
        place.sandbox.environment[variable] = place.proxy.address
        try place.roundTrip()
        #expect(try Set(place.proxy.requests(atLeast: 2)) == ["CONNECT registry.test:443"])
    }

    @Test(arguments: ["HTTP_PROXY", "http_proxy"]) func passesPlainHTTPOn(_ variable: String) throws {
        let place = try Place(isSecure: false)
        place.sandbox.environment[variable] = place.proxy.address
        try place.roundTrip(["--plain-http"])
        let requests = try place.proxy.requests(atLeast: 10)
        #expect(requests.first == "GET http://registry.test:5000/v2/")
        #expect(requests.contains("PUT http://registry.test:5000/v2/acme/m/manifests/1"))
    }

    @Test func aBuildArgumentNamesIt() throws {
        let place = try Place(isSecure: true)
        let outcome = try place.failure(["--build-arg", "HTTPS_PROXY=\(place.proxy.address)"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try place.proxy.requests(atLeast: 1).first == "CONNECT registry.test:443")
    }

    @Test func logsInAtTheProxy() throws {
        let place = try Place(isSecure: true, ["--user", "me:s3cret"])
        place.sandbox.environment["HTTPS_PROXY"] = place.proxy.address
        let refused = try place.failure()
        #expect(refused.status == 3, "\(refused.errors)")
        #expect(
            refused.errors.hasSuffix(
                """
                error: the proxy does not let us connect to registry.test (407)
                help: name a user that it knows: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT

                """), "\(refused.errors)")
        #expect(
            try place.proxy.requests(atLeast: 1).count == 1, "a login that is missing is missing the second time, too")
        place.sandbox.environment["HTTPS_PROXY"] = place.proxy.address("me:s3cret")
        let done = try place.failure(["--debug"])
        #expect(done.status == 0, "\(done.errors)")
        #expect(!done.errors.contains("s3cret") && !done.errors.contains("bWU6czNjcmV0"))
    }

    @Test(arguments: [(403, 3, 1), (502, 5, 5)]) func saysThatTheProxyRefuses(
        _ status: Int, _ exit: Int32, _ tries: Int
    ) throws {
        let place = try Place(isSecure: true, ["--refuse", "\(status)"])
        place.sandbox.environment["HTTPS_PROXY"] = place.proxy.address
        let outcome = try place.failure()
        #expect(outcome.status == exit, "\(outcome.errors)")
        #expect(outcome.errors.contains("connect to registry.test (\(status))"), "\(outcome.errors)")
        #expect(try place.proxy.requests(atLeast: tries).count == tries)
    }

    @Test(arguments: ["example.com,registry.test", ".test", "*"]) func goesRoundItWhereToldTo(_ exception: String)
        throws
    {
        let place = try Place(isSecure: true)
        place.sandbox.environment["HTTPS_PROXY"] = place.proxy.address
        place.sandbox.environment["NO_PROXY"] = exception
        let outcome = try place.failure()
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("the name registry.test is not known"), "\(outcome.errors)")
        #expect(place.proxy.requests == [])
    }

    @Test func proxiesAreForOtherMachines() throws {
        let place = try Place(isSecure: false)
        for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            place.sandbox.environment[variable] = place.proxy.address
        }
        try place.sandbox.done("build", "-t", "\(place.registry.host)/acme/m:1", place.context)
        #expect(place.proxy.requests == [])
    }

    @Test func saysThatTheProxyIsNotKnown() throws {
        let place = try Place(isSecure: true)
        place.sandbox.environment["HTTPS_PROXY"] = "http://no-such-proxy.invalid:3128"
        let outcome = try place.failure()
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("the name of the proxy is not known"), "\(outcome.errors)")
    }
}
